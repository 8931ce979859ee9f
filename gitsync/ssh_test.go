package gitsync

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sshServer is a real OpenSSH server on loopback with keys of two kinds.
type sshServer struct {
	addr    string
	key     string            // the client's
	hostKey map[string]string // by kind: the line of known_hosts
	dir     string
}

func newSSHServer(t *testing.T) sshServer {
	t.Helper()
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		if sshd = "/usr/sbin/sshd"; !isExecutable(sshd) {
			if os.Getenv("CI") != "" {
				t.Fatal("OpenSSH's sshd is missing")
			}
			t.Skip("OpenSSH's sshd is missing")
		}
	}
	me, err := user.Current()
	must(t, err)
	s := sshServer{dir: t.TempDir(), hostKey: map[string]string{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.addr = l.Addr().String()
	_, port, _ := net.SplitHostPort(s.addr)
	must(t, l.Close())

	config := fmt.Sprintf("Port %s\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"+
		"PermitRootLogin yes\nAuthorizedKeysFile %s/authorized\nLogLevel ERROR\n", port, s.dir)
	for _, kind := range []string{"ed25519", "ecdsa"} {
		private, public := newKey(t, kind)
		file := filepath.Join(s.dir, "host_"+kind)
		must(t, os.WriteFile(file, private, 0o600))
		config += "HostKey " + file + "\n"
		s.hostKey[kind] = fmt.Sprintf("[127.0.0.1]:%s %s\n", port, public)
	}
	private, public := newKey(t, "ed25519")
	s.key = filepath.Join(s.dir, "client")
	must(t, os.WriteFile(s.key, private, 0o600))
	must(t, os.WriteFile(filepath.Join(s.dir, "authorized"), []byte(public+"\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(s.dir, "sshd_config"), []byte(config), 0o600))
	must(t, os.MkdirAll("/run/sshd", 0o755))

	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(s.dir, "sshd_config"))
	var log bytes.Buffer
	cmd.Stderr = &log
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not listen: %s", &log)
		}
	}
	s.addr = me.Username + "@" + s.addr
	return s
}

func isExecutable(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode()&0o111 != 0
}

func (s sshServer) knownHosts(t *testing.T, lines ...string) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "known_hosts")
	must(t, os.WriteFile(f, []byte(strings.Join(lines, "")), 0o600))
	return f
}

func (s sshServer) repo(r *testRepo, known string) Repo {
	return Repo{URL: "ssh://" + s.addr + r.dir, Auth: Auth{SSHKeyFile: s.key, KnownHostsFile: known}}
}

// newKey makes a key pair: the private half in OpenSSH's format, the public one
// as in authorized_keys.
func newKey(t *testing.T, kind string) (private []byte, public string) {
	t.Helper()
	var name string
	var pub, priv [][]byte
	switch kind {
	case "ed25519":
		p, k, err := ed25519.GenerateKey(rand.Reader)
		must(t, err)
		name, pub, priv = "ssh-ed25519", [][]byte{p}, [][]byte{p, k}
	case "ecdsa":
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		raw, err := k.PublicKey.Bytes()
		must(t, err)
		d, err := k.Bytes()
		must(t, err)
		if d[0]&0x80 != 0 {
			d = append([]byte{0}, d...)
		}
		name, pub = "ecdsa-sha2-nistp256", [][]byte{[]byte("nistp256"), raw}
		priv = append(append([][]byte{}, pub...), d)
	}
	blob := wire(append([][]byte{[]byte(name)}, pub...)...)
	inner := append([]byte{1, 2, 3, 4, 1, 2, 3, 4}, wire(append([][]byte{[]byte(name)}, priv...)...)...)
	inner = append(inner, wire(nil)...) // comment
	for i := byte(1); len(inner)%8 != 0; i++ {
		inner = append(inner, i)
	}
	b := append([]byte("openssh-key-v1\x00"), wire([]byte("none"), []byte("none"), nil)...)
	b = append(b, 0, 0, 0, 1)
	b = append(b, wire(blob, inner)...)
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: b}), name + " " + base64.StdEncoding.EncodeToString(blob)
}

func wire(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

// sshFiles is a client's key and a known_hosts that holds some key for addr.
func sshFiles(t *testing.T, addr string) (key, known string) {
	t.Helper()
	dir := t.TempDir()
	private, _ := newKey(t, "ed25519")
	_, host := newKey(t, "ed25519")
	name, port, err := net.SplitHostPort(addr)
	must(t, err)
	key, known = filepath.Join(dir, "key"), filepath.Join(dir, "known_hosts")
	must(t, os.WriteFile(key, private, 0o600))
	must(t, os.WriteFile(known, []byte(fmt.Sprintf("[%s]:%s %s\n", name, port, host)), 0o600))
	return key, known
}

func TestSSH(t *testing.T) {
	s := newSSHServer(t)
	r := newTestRepo(t)
	r.push(files{"p/a.dig": "1"})

	// Fault 5: the server has two keys, known_hosts one of them, either.
	for kind, line := range s.hostKey {
		g := newRig(t, s.repo(r, s.knownHosts(t, line)))
		g.sync()
		if got := g.liveFiles()["p"]["a.dig"]; got != "1" {
			t.Errorf("known by its %s key: got %q, want 1", kind, got)
		}
	}
	g := newRig(t, s.repo(r, s.knownHosts(t, s.hostKey["ed25519"])))
	g.sync()
	r.push(files{"p/a.dig": "2"})
	g.sync()
	g.sync()
	if got := g.liveFiles()["p"]["a.dig"]; got != "2" || len(g.target.deployments) != 2 {
		t.Errorf("got %q after %d deployments, want 2 after 2", got, len(g.target.deployments))
	}

	_, wrong := newKey(t, "ed25519")
	host := strings.Fields(s.hostKey["ed25519"])[0]
	for name, test := range map[string]struct {
		repo Repo
		want string
	}{
		"another key":   {s.repo(r, s.knownHosts(t, host+" "+wrong+"\n")), "key mismatch"},
		"unknown host":  {s.repo(r, s.knownHosts(t, "[127.0.0.1]:1 "+wrong+"\n")), "is not in"},
		"empty file":    {s.repo(r, s.knownHosts(t, "")), "is not in"},
		"missing file":  {s.repo(r, filepath.Join(t.TempDir(), "none")), "read known hosts"},
		"no such repo":  {Repo{URL: "ssh://" + s.addr + "/nowhere.git", Auth: g.repo.repo.Auth}, "no such repository"},
		"key not ours":  {withKey(t, s.repo(r, g.repo.repo.Auth.KnownHostsFile)), "unable to authenticate"},
		"key not a key": {withFile(t, s.repo(r, g.repo.repo.Auth.KnownHostsFile)), "read ssh key"},
	} {
		err := newRig(t, test.repo).trySync()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func withKey(t *testing.T, r Repo) Repo {
	t.Helper()
	r.Auth.SSHKeyFile, _ = sshFiles(t, "127.0.0.1:1")
	return r
}

func withFile(t *testing.T, r Repo) Repo {
	t.Helper()
	r.Auth.SSHKeyFile = filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(r.Auth.SSHKeyFile, []byte("not a key"), 0o600))
	return r
}
