package docker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

// ownContainer is the container that we run in. The engine does not see our
// files under our paths, but those of volumes and mounts under its own.
type ownContainer struct {
	id     string
	mounts []container.MountPoint
}

var (
	containerID = regexp.MustCompile(`[0-9a-f]{64}`)
	shortID     = regexp.MustCompile(`^[0-9a-f]{12}$`)
)

// findOwn asks the engine whether we are in one of its containers.
func (e *engine) findOwn(ctx context.Context) error {
	mounts, _ := os.ReadFile("/proc/self/mountinfo") // not there: not in a container of Linux
	hostname, _ := os.Hostname()
	for _, id := range containerIDs(string(mounts), hostname) {
		info, err := e.api.ContainerInspect(ctx, id)
		switch {
		case cerrdefs.IsNotFound(err):
			continue
		case err != nil:
			return fmt.Errorf("ask the engine at %s for our own container: %w", e.host, err)
		}
		e.own = &ownContainer{id: info.ID, mounts: info.Mounts}
		return nil
	}
	return nil
}

// containerIDs lists what may be the id of our container: engines mount some
// files from a directory that is named after it, and call the host like it.
func containerIDs(mountinfo, hostname string) []string {
	var ids []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if target := fields[4]; target == "/etc/hostname" || target == "/etc/hosts" || target == "/etc/resolv.conf" {
			if id := containerID.FindString(fields[3]); id != "" {
				ids = append(ids, id)
				break
			}
		}
	}
	if shortID.MatchString(hostname) {
		ids = append(ids, hostname)
	}
	return ids
}

// path is where the engine finds what we know as path.
func (o *ownContainer) path(path string) (string, error) {
	best := -1
	for i, m := range o.mounts {
		if contains(m.Destination, path) && (best < 0 || len(m.Destination) > len(o.mounts[best].Destination)) {
			best = i
		}
	}
	if best < 0 || o.mounts[best].Source == "" || o.mounts[best].Type == mount.TypeTmpfs {
		return "", fmt.Errorf("gitdag runs in container %.12s, and the engine cannot see %s, which is on no volume of that container: put it (an agent's data directory) on a named volume or a directory of the machine", o.id, path)
	}
	rel, err := filepath.Rel(o.mounts[best].Destination, path)
	if err != nil {
		return "", err
	}
	return filepath.Join(o.mounts[best].Source, rel), nil
}

// contains tells whether path is dir or lies in it.
func contains(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// mountProject lets the container see the project under our path, and replaces
// what `--volume` says of paths in it.
func (e *engine) mountProject(s *spec, selinux bool) error {
	s.source = s.project
	if e.own != nil {
		var err error
		if s.source, err = e.own.path(s.project); err != nil {
			return err
		}
		for i, bind := range s.host.Binds {
			from, rest, _ := strings.Cut(bind, ":")
			if filepath.IsAbs(from) && contains(s.project, from) {
				s.host.Binds[i] = s.source + strings.TrimPrefix(from, s.project) + ":" + rest
			}
		}
		for i, m := range s.host.Mounts {
			if m.Type == mount.TypeBind && contains(s.project, m.Source) {
				s.host.Mounts[i].Source = s.source + strings.TrimPrefix(m.Source, s.project)
			}
		}
	}
	if selinux {
		s.host.Binds = append(s.host.Binds, s.source+":"+s.project+":rw,Z")
		return nil
	}
	// Unlike a bind this is refused if the engine has no such directory.
	s.host.Mounts = append(s.host.Mounts, mount.Mount{Type: mount.TypeBind, Source: s.source, Target: s.project})
	return nil
}

// checkSight makes sure that the container has our project, and not what another
// machine keeps under the same path.
func (e *engine) checkSight(ctx context.Context, id, project string) error {
	if e.own != nil || e.local() {
		return nil
	}
	for {
		before, err := os.Stat(project)
		if err != nil {
			return err
		}
		seen, err := e.api.ContainerStatPath(ctx, id, project)
		if err != nil {
			return fmt.Errorf("look at %s in the container: %w", project, err)
		}
		after, err := os.Stat(project)
		if err != nil {
			return err
		}
		if seen.Mtime.Unix() == before.ModTime().Unix() {
			return nil
		}
		if before.ModTime().Equal(after.ModTime()) {
			return e.blind(project)
		}
	}
}

func (e *engine) blind(project string) error {
	return fmt.Errorf("the engine at %s does not see the files of this machine in %s: it must run on this machine, or share that directory under the same path", e.host, project)
}
