package gitsync

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// gitRemote is a real repository. HTTP servers of protocol version 2 and local
// paths are listed in this process, all else by a child.
type gitRemote struct {
	repo     Repo
	url      remoteURL
	http     *httpLister // nil for other kinds
	child    child
	slots    chan struct{} // shared by all repositories: fetches at a time
	depth    int
	limits   Limits
	timeouts Timeouts
}

func newGitRemote(r Repo, o Options, slots chan struct{}) *gitRemote {
	g := &gitRemote{
		repo: r, child: child{self: o.Self, memory: o.Memory}, slots: slots,
		depth: o.Depth, limits: o.Limits, timeouts: o.Timeouts,
	}
	g.url, _ = parseURL(r.URL) // Complete has parsed it
	if g.url.kind == kindHTTP {
		g.http = newHTTPLister(r, 2*r.Poll+time.Minute)
	}
	return g
}

// List implements Remote.
func (g *gitRemote) List(ctx context.Context) (Tip, error) {
	if fullCommit.MatchString(g.repo.Ref) {
		return Tip{Commit: g.repo.Ref}, nil
	}
	switch g.url.kind {
	case kindLocal:
		return listLocal(g.repo)
	case kindHTTP:
		tip, err := g.listHTTP(ctx)
		if err == nil || !errors.Is(err, errNoV2) {
			return tip, err
		}
	}
	req := g.request(opList, g.timeouts.List)
	req.Idle = min(req.Idle, g.timeouts.List*2/3) // so that the child can say which wait it was
	res, err := g.child.run(ctx, req, nil)
	if err != nil {
		return Tip{}, err
	}
	if res.Tip == nil {
		return Tip{}, errors.New("the fetching child did not answer the question")
	}
	return *res.Tip, nil
}

func (g *gitRemote) listHTTP(ctx context.Context) (Tip, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeouts.List)
	defer cancel()
	return g.http.list(ctx, g.repo.Ref)
}

// Fetch implements Remote.
func (g *gitRemote) Fetch(ctx context.Context, q Query) (Fetched, error) {
	req := g.request(opFetch, g.timeouts.Fetch)
	req.Query = wireQuery{Work: q.Work, Checkouts: q.Checkouts, Commit: q.Commit, Live: q.Live, Restore: q.Restore}
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return Fetched{}, fmt.Errorf("wait for another fetch: %w", ctx.Err())
	}
	res, err := g.child.run(ctx, req, q.Phase)
	if err != nil {
		return Fetched{}, err
	}
	if res.Fetched == nil {
		return Fetched{}, errors.New("the fetching child did not answer the question")
	}
	return *res.Fetched, nil
}

func (g *gitRemote) request(op string, total time.Duration) request {
	r := request{Op: op, Repo: g.repo, Idle: g.timeouts.Idle, Total: total, Depth: g.depth, Limits: g.limits}
	r.Bearer = g.http != nil && g.http.bearer
	return r
}

func (g *gitRemote) close() {
	if g.http != nil {
		g.http.close()
	}
}
