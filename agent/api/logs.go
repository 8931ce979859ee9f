package api

import (
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
)

// logFiles lists the logs of an attempt. task is the beginning of names, as in
// Digdag (Q22); with exact it is a name.
func (s *server) logFiles(w http.ResponseWriter, r *request) error {
	found, err := s.ofPath(r)
	if err != nil {
		return err
	}
	infos, err := s.Logs.List(found.Attempt.ID)
	if err != nil {
		return err
	}
	task, exact := r.query("task"), r.flag("exact")
	files := make([]LogFile, 0, len(infos))
	for i := range infos {
		if strings.HasPrefix(infos[i].FullName, task) && (!exact || infos[i].FullName == task) {
			files = append(files, logFileOf(&infos[i]))
		}
	}
	return writeList(w, r, "files", files)
}

// logFile answers with what a log has now, as one gzip member. Beyond Digdag's,
// offset=N leaves out what the client has already.
func (s *server) logFile(w http.ResponseWriter, r *request) error {
	found, err := s.ofPath(r)
	if err != nil {
		return err
	}
	name := r.path["name"]
	if strings.ContainsAny(name, "/\\\x00") || name == "." || name == ".." {
		return badf("Invalid file name: %s", name)
	}
	offset, err := r.number("offset", 0)
	if err != nil {
		return err
	}
	file, err := s.Logs.Open(found.Attempt.ID, name, int64(offset))
	if errors.Is(err, fs.ErrNotExist) {
		return notFoundf("Resource does not exist: log file %s of session attempt id=%d", name, found.Attempt.ID)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	err = writeGzip(w, r, -1, func(to io.Writer) error {
		packer := gzip.NewWriter(to)
		if _, err := io.Copy(packer, file); err != nil {
			return err
		}
		return packer.Close()
	})
	if err != nil {
		// The member stays cut off, which the client sees.
		s.Log.Error("a log could not be sent whole", "attempt", found.Attempt.ID, "file", name, "err", err)
	}
	return nil
}
