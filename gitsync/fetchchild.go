package gitsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// FetchChild is the whole life of a fetching child: it reads one request, lists
// or fetches, answers and returns the exit status. The parent limits its memory
// and its time; whatever a hostile repository does ends here.
func FetchChild(stdin io.Reader, stdout, stderr io.Writer) int {
	out := newAnswers(stdout)
	dec := json.NewDecoder(stdin)
	var req request
	if err := dec.Decode(&req); err != nil {
		_, _ = fmt.Fprintf(stderr, "error: read the request of the parent: %v\n", err)
		return 2
	}
	debug.SetMemoryLimit(req.Memory / 4 * 3)
	ctx, cancel := context.WithTimeout(context.Background(), req.Total)
	defer cancel()
	go func() { // ends with the process, or with the input
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
	}()
	res, err := serve(ctx, req, out)
	if err != nil {
		f := failure{Message: err.Error()}
		if ra := (retryAfterError{}); errors.As(err, &ra) {
			f.RetryAfter = ra.after
		}
		out.send(answer{Failure: &f})
		return 1
	}
	out.send(res)
	return 0
}

func serve(ctx context.Context, req request, out *answers) (answer, error) {
	u, err := parseURL(req.Repo.URL)
	if err != nil {
		return answer{}, err
	}
	if req.Op == opList {
		out.phase("list references")
		if u.kind == kindLocal {
			tip, err := listLocal(req.Repo)
			return answer{Tip: &tip}, err
		}
		tip, err := listSession(ctx, req, u)
		return answer{Tip: &tip}, err
	}
	got, err := fetch(ctx, req, u, out)
	if err != nil {
		return answer{}, err
	}
	return answer{Fetched: &got}, nil
}

// fetch gets the objects and reads the commit out of them.
func fetch(ctx context.Context, req request, u remoteURL, out *answers) (Fetched, error) {
	var (
		objs objects
		at   Tip
		err  error
	)
	if u.kind == kindLocal {
		out.phase("open %s", req.Repo.URL)
		objs, at, err = openLocal(req.Repo)
	} else {
		objs, at, err = download(ctx, req, u, out)
	}
	if err != nil {
		return Fetched{}, err
	}
	defer objs.close()
	return readCommit(ctx, req, objs, at, out)
}

// readCommit resolves the commit, finds its projects and exports the changed.
func readCommit(ctx context.Context, req request, objs objects, at Tip, out *answers) (Fetched, error) {
	commit, err := peel(objs, at.Commit)
	if err != nil {
		return Fetched{}, err
	}
	got := Fetched{Ref: at.Ref, Commit: describe(commit)}
	got.Relation, got.Since, err = relate(objs, commit, req.Query.Commit, req.Depth)
	if err != nil {
		return Fetched{}, err
	}
	out.phase("find projects")
	got.Projects, got.Refused, err = findProjects(ctx, objs, commit.TreeHash, finderOptions{
		repo: req.Repo, limits: req.Limits, live: req.Query.Live,
	})
	if err != nil {
		return Fetched{}, fmt.Errorf("read commit %s: %w", got.Commit.Hash, err)
	}
	out.phase("export projects")
	if err := exportChanged(ctx, req, objs, &got); err != nil {
		return Fetched{}, fmt.Errorf("export commit %s: %w", got.Commit.Hash, err)
	}
	return got, nil
}
