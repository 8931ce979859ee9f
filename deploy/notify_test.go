package deploy_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary builds the agent as `make build` does.
func binary(t *testing.T) string {
	t.Helper()
	need(t, "go", "git")
	path := filepath.Join(t.TempDir(), "gitdag")
	do(t, []string{"CGO_ENABLED=0"}, "go", "build", "-C", root, "-trimpath", "-o", path, "./cmd/gitdag")
	return path
}

// manager is a service manager's end of NOTIFY_SOCKET.
type manager struct {
	socket *net.UnixConn
	path   string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return &manager{socket: socket, path: path}
}

// await reads messages until one holds the line, and returns how long that took.
func (m *manager) await(t *testing.T, line string, within time.Duration) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := m.socket.SetReadDeadline(begin.Add(within)); err != nil {
		t.Fatal(err)
	}
	var seen []string
	buf := make([]byte, 4096)
	for {
		n, err := m.socket.Read(buf)
		if err != nil {
			t.Fatalf("%s within %s: got %q, then %v", line, within, seen, err)
		}
		lines := strings.Split(strings.TrimSpace(string(buf[:n])), "\n")
		if slices.Contains(lines, line) {
			return time.Since(begin)
		}
		seen = append(seen, lines...)
	}
}

func TestAgentAnswersItsServiceManager(t *testing.T) {
	program := binary(t)
	m := newManager(t)
	agent := exec.Command(program, "agent", "--repo", sampleRepository(t), "--data", filepath.Join(t.TempDir(), "data"), "--listen", "127.0.0.1:0")
	agent.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=1000000")
	var output strings.Builder
	agent.Stdout, agent.Stderr = &output, &output
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- agent.Wait() }() // ends with the agent, which the clean-up kills
	t.Cleanup(func() {
		if err := agent.Process.Kill(); err == nil {
			<-ended
		}
		if t.Failed() {
			t.Logf("the agent said:\n%s", output.String())
		}
	})

	m.await(t, "READY=1", 30*time.Second)
	for range 3 {
		if took := m.await(t, "WATCHDOG=1", 10*time.Second); took >= time.Second {
			t.Errorf("watchdog: got a sign of life after %s, want one within 1 s", took)
		}
	}
	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.await(t, "STOPPING=1", 10*time.Second)
	select {
	case err := <-ended:
		ended <- err
		if err != nil {
			t.Errorf("after SIGTERM: got %v, want exit status 0", err)
		}
	case <-time.After(drain):
		t.Errorf("after SIGTERM: got an agent that still runs, want its end within %s", drain)
	}
}
