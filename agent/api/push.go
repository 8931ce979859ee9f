package api

import (
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"gitdag/engine/dig"
	"gitdag/engine/flow"
)

// push takes a revision of a project in. The length of the archive need not be
// known in advance (Q5).
func (s *server) push(w http.ResponseWriter, r *request) error {
	if s.Projects == nil {
		return notOffered("take pushes")
	}
	in, err := r.pushOf()
	if err != nil {
		return err
	}
	archive, err := r.upload(s.ArchiveLimit)
	if err != nil {
		return err
	}
	in.Archive = archive
	err = s.Projects.Push(r.Context(), in)
	if archive.err != nil {
		return archive.err
	}
	if err != nil {
		return err
	}
	var pushed *Project
	s.Engine.View(func(state *flow.State) {
		if p := state.ProjectNamed(in.Project); p != nil {
			pushed = pushedOf(p, in.Revision)
		}
	})
	if pushed == nil { // deleted meanwhile
		return noProject(in.Project)
	}
	return writeJSON(w, r.Request, http.StatusOK, pushed)
}

// pushedOf is a project with the revision that was pushed, be that the live one
// still or not.
func pushedOf(p *flow.Project, revision string) *Project {
	out := projectOf(p)
	if x := p.RevisionNamed(revision); x != nil {
		out.Revision, out.UpdatedAt = x.Name, Instant{x.CreatedAt}
		out.ArchiveType, out.ArchiveMD5 = archiveOf(x)
	}
	return &out
}

// pushOf reads all of a push but the archive.
func (r *request) pushOf() (in Push, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != gzipped {
		return in, badf("the body must be %s, not %q", gzipped, r.Header.Get("Content-Type"))
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return in, badf("an archive is sent as it is: Content-Encoding must not be %q", encoding)
	}
	if in.Project, err = r.required("project"); err != nil {
		return in, err
	}
	if in.Revision, err = r.required("revision"); err != nil {
		return in, err
	}
	if err := checkProjectName(in.Project); err != nil {
		return in, err
	}
	if utf8.RuneCountInString(in.Revision) > maxName {
		return in, badf("revision must not be longer than %d characters", maxName)
	}
	if text := r.query("schedule_from"); text != "" {
		at, ok := parseInstant(text)
		if !ok {
			return in, badf("Invalid schedule_from= parameter format. Expected yyyy-MM-dd'T'HH:mm:ss'Z' format")
		}
		in.ScheduleFrom = at
	}
	in.UserInfo = r.who.UserInfo
	return in, nil
}

// checkProjectName applies Digdag's rules for what is pushed; the slashes that
// names from Git may have are not among them.
func checkProjectName(name string) error {
	if err := dig.CheckName(name); err != nil {
		return badf("project: %v", err)
	}
	if strings.Contains(name, "/") {
		return badf("project: the name %q must not have a slash in it", name)
	}
	return nil
}

// upload returns the body of a push, which is refused before it is read where its
// size is known.
func (r *request) upload(limit int64) (*upload, error) {
	if r.ContentLength > limit {
		return nil, archiveTooLarge(limit)
	}
	return &upload{
		from: http.MaxBytesReader(r.out, r.Body, limit), r: r, limit: limit,
		whole: r.expect(r.ContentLength, limit),
	}, nil
}

// upload is an archive on its way in. It keeps why it could not be read.
type upload struct {
	from  io.Reader
	r     *request
	limit int64
	whole func() // called at the end
	err   error
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	var large *http.MaxBytesError
	switch {
	case err == nil:
	case err == io.EOF:
		u.whole()
	case errors.As(err, &large):
		u.err = archiveTooLarge(u.limit)
	case errors.Is(err, io.ErrUnexpectedEOF):
		u.err = badf("Content-Length header doesn't match with uploaded data size")
	default:
		u.err = u.r.bodyError(err)
	}
	if u.err != nil {
		return n, u.err
	}
	return n, err
}

func archiveTooLarge(limit int64) error {
	return badf("Size of the uploaded archive file exceeds limit (%d bytes)", limit)
}

// archive answers with the files of a revision.
func (s *server) archive(w http.ResponseWriter, r *request) error {
	var project *flow.Project
	if err := s.withProject(r, func(p *flow.Project) { project = p }); err != nil {
		return err
	}
	id, revision := project.ID, r.query("revision")
	gone := notFoundf("Resource does not exist: revision name=%s in project id=%d", revision, id)
	if s.Projects == nil || r.has("revision") && revision == "" {
		return gone
	}
	body, size, err := s.Projects.Archive(r.Context(), id, revision)
	if unknown(err) || errors.Is(err, fs.ErrNotExist) {
		return gone
	}
	if err != nil {
		return err
	}
	defer body.Close()
	err = writeGzip(w, r, size, func(to io.Writer) error {
		_, err := io.Copy(to, body)
		return err
	})
	if err != nil {
		s.Log.Error("an archive could not be sent whole", "project", id, "revision", revision, "err", err)
	}
	return nil
}

// deleteProject answers with the project as it was.
func (s *server) deleteProject(w http.ResponseWriter, r *request) error {
	var was Project
	if err := s.withProject(r, func(p *flow.Project) { was = projectOf(p) }); err != nil {
		return err
	}
	if s.Projects == nil {
		return notOffered("delete projects")
	}
	if err := s.Projects.Delete(r.Context(), uint64(was.ID)); err != nil {
		if !unknown(err) {
			return err
		}
		// Another request was faster; this one says so too.
		return s.withProject(r, func(*flow.Project) {})
	}
	return writeJSON(w, r.Request, http.StatusOK, was)
}
