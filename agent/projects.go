package agent

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"

	"gitdag/agent/api"
	"gitdag/engine"
	"gitdag/engine/archive"
	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
)

// projects takes in what is pushed and gives it back, for the API.
type projects struct {
	engine    *engine.Engine
	checkouts *checkouts
	dir       func(tree string) string
	operators *operator.Registry
	config    func() *Config
	// pushes tells whether any are taken.
	pushes bool
	limits archive.Limits
	// turn holds a token for each push that is worked on: a whole archive is in
	// memory then.
	turn chan struct{}
	log  *slog.Logger
}

// Push makes an archive the live revision of its project.
func (p *projects) Push(ctx context.Context, in api.Push) error {
	if !p.pushes {
		return fmt.Errorf("%w: this agent takes no pushes; allow_push in its configuration opens it for them", api.ErrForbidden)
	}
	up, err := p.spool(in.Archive)
	if err != nil {
		return pushError(err)
	}
	defer up.remove()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", api.ErrUnavailable, ctx.Err())
	}
	if err := p.free(&in); err != nil {
		return err
	}
	return pushError(p.deploy(ctx, &in, up))
}

// free refuses a push that can only fail, before its archive is looked at. The
// engine has the last word.
func (p *projects) free(in *api.Push) (err error) {
	p.engine.View(func(s *flow.State) {
		live := s.ProjectNamed(in.Project)
		switch {
		case live == nil:
		case !live.Pushed():
			err = pushError(&flow.NameTaken{Project: live.Name, Repo: live.Repo})
		case live.RevisionNamed(in.Revision) != nil:
			err = &flow.RevisionExists{Project: live.ID, Revision: in.Revision}
		}
	})
	return err
}

// upload is an archive on the disk of the agent. It is of use to this push
// alone, and so is not made durable.
type upload struct {
	file   *os.File
	object string
	md5    string
	size   int64
}

// spool writes an archive to a file.
func (p *projects) spool(from io.Reader) (_ *upload, err error) {
	f, err := os.CreateTemp(p.checkouts.tmp, "archive-")
	if err != nil {
		return nil, fmt.Errorf("keep the archive: %w", err)
	}
	up := &upload{file: f}
	defer func() {
		if err != nil {
			up.remove()
		}
	}()
	sum, check := sha256.New(), md5.New()
	if up.size, err = io.Copy(io.MultiWriter(f, sum, check), from); err != nil {
		return nil, fmt.Errorf("keep the archive: %w", err)
	}
	up.object = hex.EncodeToString(sum.Sum(nil))
	up.md5 = base64.StdEncoding.EncodeToString(check.Sum(nil))
	_, err = f.Seek(0, io.SeekStart)
	return up, err
}

func (u *upload) remove() {
	_ = u.file.Close()
	_ = os.Remove(u.file.Name()) // else the next start does
}

// deploy unpacks, checks and keeps an archive and makes it live.
func (p *projects) deploy(ctx context.Context, in *api.Push, up *upload) error {
	content, err := p.load(in, up)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(up.file.Name())
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	if _, err := p.engine.PutObject(data); err != nil {
		return fmt.Errorf("keep the archive: %w", err)
	}
	c, commit := p.config(), flow.Commit{ID: in.Revision}
	err = p.engine.Deploy(ctx, &engine.Deployment{
		Repo: flow.PushedSource(in.Project), Commit: commit, ScheduleFrom: in.ScheduleFrom, Strict: true,
		Projects: []engine.Project{{
			Name: in.Project, Path: ".", Tree: up.object, Checkout: up.object, Revision: in.Revision, Commit: commit, Content: content,
			CatchUp: flow.CatchUp(c.CatchUp), Keep: c.Retention.Revisions,
			Archive: &flow.Archive{Object: up.object, MD5: up.md5, Size: up.size, UserInfo: in.UserInfo},
		}},
	})
	if err == nil {
		p.log.Info("project pushed", "project", in.Project, "revision", in.Revision, "workflows", len(content.Workflows), "bytes", up.size)
	}
	return err
}

// load makes the checkout of an archive and reads its project. A workflow with
// an error refuses the push (L4).
func (p *projects) load(in *api.Push, up *upload) (*dig.Project, error) {
	var content *dig.Project
	look := func(dir string) (err error) {
		content, err = p.read(in, dir)
		return err
	}
	tree := &pushedTree{tree: up.object, owner: flow.PushedSource(in.Project), limits: p.limits, from: up.file}
	if err := p.checkouts.adopt(tree, look); err != nil || content != nil {
		return content, err
	}
	return content, look(p.dir(up.object)) // the very same archive was pushed before
}

func (p *projects) read(in *api.Push, dir string) (*dig.Project, error) {
	content, found := dig.Load(dir, checking(p.operators))
	if content == nil {
		return nil, fmt.Errorf("read the project: %w", found)
	}
	if errs := found.Errors(); len(errs) > 0 {
		lines := make([]string, len(errs))
		for i, d := range errs {
			lines[i] = onOneLine(d)
		}
		return nil, &api.Invalid{Reason: fmt.Errorf("the project cannot be deployed:\n%s", strings.Join(lines, "\n"))}
	}
	for _, d := range found {
		p.log.Warn("project has a warning", "project", in.Project, "revision", in.Revision, "diagnostic", onOneLine(d))
	}
	return content, nil
}

// pushError adds to an error what the API branches on.
func pushError(err error) error {
	var unpack *unpackError
	var taken *flow.NameTaken
	switch {
	case errors.As(err, &taken):
		return &api.Conflicting{Reason: fmt.Errorf(
			"project %q comes from the Git repository %q and cannot be pushed over: change it there, or push under another name",
			taken.Project, taken.Repo)}
	case errors.As(err, &unpack) && !ourFault(unpack):
		return &api.Invalid{Reason: unpack}
	}
	return apiError(err)
}

// ourFault tells an error of this machine from one of what was sent to it.
func ourFault(err error) bool {
	var code syscall.Errno
	if !errors.As(err, &code) {
		return false
	}
	switch code {
	case syscall.ENOTDIR, syscall.EISDIR, syscall.EEXIST, syscall.ENOTEMPTY, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL, syscall.EILSEQ:
		return false // names that no tree of files can have
	}
	return true
}

// Delete removes a project that was pushed. Its attempts go on to their end.
func (p *projects) Delete(ctx context.Context, project uint64) error {
	return apiError(p.engine.DeleteProject(ctx, project))
}

// sweep removes the checkouts of what was pushed that no revision, no attempt
// and no retry needs.
func (p *projects) sweep(ctx context.Context, t target) (int, error) {
	select { // a push may be about to make use of one that is not in use
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	used, err := t.InUse(ctx)
	if err != nil {
		return 0, err
	}
	return p.checkouts.sweep(used)
}

// Archive opens the files of a revision: what was pushed as it came, else what
// its checkout holds.
func (p *projects) Archive(_ context.Context, project uint64, revision string) (io.ReadCloser, int64, error) {
	var tree string
	var pushed *flow.Archive
	p.engine.View(func(s *flow.State) {
		live := s.Project(project)
		if live == nil {
			return
		}
		for _, r := range live.Revisions() {
			if revision == "" || revision == r.Name {
				tree, pushed = r.Checkout, r.Archive
				return
			}
		}
	})
	if tree == "" {
		return nil, 0, api.ErrNotFound
	}
	if pushed == nil {
		return p.pack(tree)
	}
	data, err := p.checkouts.objects.Read(pushed.Object)
	if err != nil {
		return nil, 0, err
	}
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
}

// pack makes an archive of a checkout, in a file that has no name any more.
func (p *projects) pack(tree string) (_ io.ReadCloser, size int64, err error) {
	f, err := os.CreateTemp(p.checkouts.tmp, "pack-")
	if err != nil {
		return nil, 0, apiError(fmt.Errorf("make an archive: %w", err))
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return nil, 0, fmt.Errorf("make an archive: %w", err)
	}
	_, err = archive.Pack(f, p.dir(tree), archive.PackOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("%w: the files of this revision are not kept any more", api.ErrNotFound)
	}
	if err == nil {
		size, err = f.Seek(0, io.SeekCurrent)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, apiError(err)
	}
	return f, size, nil
}
