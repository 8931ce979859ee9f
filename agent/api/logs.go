package api

import (
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
)

func (s *server) logFiles(w http.ResponseWriter, r *request) error {
	found, err := s.ofPath(r)
	if err != nil {
		return err
	}
	infos, err := s.Logs.List(found.Attempt.ID)
	if err != nil {
		return err
	}
	prefix := r.query("task")
	files := make([]LogFile, 0, len(infos))
	for i := range infos {
		if strings.HasPrefix(infos[i].FullName, prefix) {
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
	// No Content-Encoding: the bytes themselves are gzip.
	w.Header().Set("Content-Type", gzipped)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	packer := gzip.NewWriter(w)
	if _, err := io.Copy(packer, file); err != nil {
		// The member stays cut off, which the client sees.
		if r.Context().Err() == nil {
			s.Log.Error("a log could not be sent whole", "attempt", found.Attempt.ID, "file", name, "err", err)
		}
		return nil
	}
	_ = packer.Close()
	return nil
}
