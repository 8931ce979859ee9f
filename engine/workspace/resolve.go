package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrOutside is wrapped by the error for a working directory that is not in
// the project.
var ErrOutside = errors.New("outside the project")

// Resolve returns the absolute path of a task's working directory: the
// parameter `_workdir`, taken from the project's root. It may neither by its
// text nor through links leave the project (language.md §1.4).
func Resolve(project, workdir string) (string, error) {
	project, err := filepath.Abs(project)
	if err != nil {
		return "", fmt.Errorf("working directory %q: %w", workdir, err)
	}
	if workdir == "" {
		return project, nil
	}
	path := filepath.Join(project, workdir)
	if filepath.IsAbs(workdir) {
		path = filepath.Clean(workdir)
	}
	rel, err := filepath.Rel(project, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", fmt.Errorf("working directory %q is %w", workdir, ErrOutside)
	}
	root, err := os.OpenRoot(project)
	if err != nil {
		return "", fmt.Errorf("open project: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(rel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("working directory %q does not exist in the project: %w", workdir, fs.ErrNotExist)
	case err != nil && leaves(project, path):
		return "", fmt.Errorf("working directory %q is, through a link, %w", workdir, ErrOutside)
	case err != nil:
		return "", fmt.Errorf("working directory %q: %w", workdir, err)
	case !info.IsDir():
		return "", fmt.Errorf("working directory %q is not a directory", workdir)
	}
	return path, nil
}

// leaves reports whether the links in path lead out of the project. It only
// words an error: os.Root has refused the path already.
func leaves(project, path string) bool {
	project, projectErr := filepath.EvalSymlinks(project)
	real, err := filepath.EvalSymlinks(path)
	if projectErr != nil || err != nil {
		return false
	}
	rel, err := filepath.Rel(project, real)
	return err != nil || !filepath.IsLocal(rel)
}
