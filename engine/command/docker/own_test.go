package docker

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitdag/engine/command"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/google/go-cmp/cmp"
)

func TestContainerIDs(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("0a", 32)
	for _, tt := range []struct {
		mountinfo, hostname string
		want                []string
	}{
		{"22 1 0:5 / /proc rw - proc proc rw\n", "laptop", nil},
		{"garbage\n", "", nil},
		{"30 22 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n" +
			"31 22 8:1 /var/lib/docker/containers/" + id + "/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n", "0123456789ab", []string{id, "0123456789ab"}},
		{"30 22 8:1 /containers/overlay-containers/" + id + "/userdata/resolv.conf /etc/resolv.conf rw - tmpfs tmpfs rw\n", "named", []string{id}},
		{"", "0123456789ab", []string{"0123456789ab"}},
	} {
		if diff := cmp.Diff(tt.want, containerIDs(tt.mountinfo, tt.hostname)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.mountinfo, diff)
		}
	}
}

func TestPathsAsTheEngineSeesThem(t *testing.T) {
	t.Parallel()
	o := &ownContainer{id: "0123456789abcdef", mounts: []container.MountPoint{
		{Type: mount.TypeVolume, Name: "data", Source: "/var/lib/docker/volumes/data/_data", Destination: "/data"},
		{Type: mount.TypeBind, Source: "/srv/special", Destination: "/data/special"},
		{Type: mount.TypeTmpfs, Destination: "/run"},
		{Type: mount.TypeBind, Source: "/var/run/docker.sock", Destination: "/var/run/docker.sock"},
	}}
	for path, want := range map[string]string{
		"/data": "/var/lib/docker/volumes/data/_data", "/data/w/1": "/var/lib/docker/volumes/data/_data/w/1", "/data/special/x": "/srv/special/x",
		"/database": "", "/run/x": "", "/tmp/x": "",
	} {
		got, err := o.path(path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v; want %q", path, got, err, want)
		}
		if err != nil {
			contain(t, path, err.Error(), path, "0123456789ab,", "named volume")
		}
	}
}

// TestMountsOfAContainerInAContainer: the paths of the project become those of
// the engine, other ones are the engine's already.
func TestMountsOfAContainerInAContainer(t *testing.T) {
	t.Parallel()
	s := &spec{project: "/data/w/1"}
	if err := readFlags("run_options", []string{
		"-v", "./in:/in:ro", "-v", "/data/w/1:/again", "-v", "/etc/ssl:/ssl", "-v", "named:/n",
		"--mount", "type=bind,source=./deep,target=/deep", "--mount", "type=bind,source=/srv,target=/srv",
	}, runFlags, s); err != nil {
		t.Fatal(err)
	}
	e := &engine{own: &ownContainer{mounts: []container.MountPoint{{Type: mount.TypeVolume, Source: "/vol", Destination: "/data"}}}}
	if err := e.mountProject(s, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/vol/w/1/in:/in:ro", "/vol/w/1:/again", "/etc/ssl:/ssl", "named:/n"}, s.host.Binds); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	var mounts []string
	for _, m := range s.host.Mounts {
		mounts = append(mounts, m.Source+" "+m.Target)
	}
	if diff := cmp.Diff([]string{"/vol/w/1/deep /deep", "/srv /srv", "/vol/w/1 /data/w/1"}, mounts); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	s = &spec{project: "/data/w/1"}
	if err := e.mountProject(s, true); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/vol/w/1:/data/w/1:rw,Z"}, s.host.Binds); diff != "" {
		t.Errorf("with SELinux (-want +got):\n%s", diff)
	}
}

// TestAnEngineThatDoesNotSeeTheProject: the error says what to do, whether the
// engine has no such directory or another one.
func TestAnEngineThatDoesNotSeeTheProject(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.sh("true")
	c.Container.Project = filepath.Join(b.project, "not-there")
	contain(t, "no directory", b.fail(c), "does not see the files of this machine in "+c.Container.Project)

	b.x = New(Options{Host: refusing{t}, Environ: []string{"DOCKER_HOST=tcp://" + forward(t, b.engine.Host)}})
	if got := b.output("pwd"); got != b.project {
		t.Errorf("over TCP: got %q, want %q", got, b.project)
	}
	e, err := b.x.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.Chtimes(other, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	made, err := e.api.ContainerCreate(t.Context(), &container.Config{Image: box, Cmd: []string{"true"}}, &container.HostConfig{
		Binds: []string{other + ":" + b.project},
	}, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer b.x.remove(t.Context(), e, made.ID)
	err = e.checkSight(t.Context(), made.ID, b.project)
	if err == nil {
		t.Fatal("another directory: got no error")
	}
	contain(t, "another directory", err.Error(), "does not see the files of this machine in "+b.project)
}

// forward lets a port of loopback reach the engine's socket.
func forward(t *testing.T, host string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", strings.TrimPrefix(host, "unix://"))
			if err != nil {
				from.Close()
				continue
			}
			go pass(from, to)
			go pass(to, from)
		}
	}()
	return l.Addr().String()
}

// pass copies one direction of a connection to its end.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from) // either side may go away
	to.Close()
	from.Close()
}

// TestContainersCarryTheirTask: what is found after a crash.
func TestContainersCarryTheirTask(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := newLineWriter()
	c := b.sh("trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done", "--label", "a=b")
	c.Output, c.Env = out, []string{command.Marker(b.id, 7, 3)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = b.x.Run(ctx, c) // ended below
	}()
	<-out.first
	contain(t, "label", b.containers(), " running "+b.id+"/7/3")
	cancel()
	<-done
}
