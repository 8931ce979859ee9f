package param_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gitdag/engine/operator"
	"gitdag/engine/operator/param"
	"gitdag/engine/operator/pg/pgtest"
	"gitdag/engine/params"
)

var (
	database *pgtest.Server
	cache    redisServer
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writeForever); dir != "" {
		writePairs(dir)
	}
	stop := cache.start()
	code := pgtest.Main(m, &database)
	stop()
	os.Exit(code)
}

// redisPassword needs quoting nearly everywhere.
const redisPassword = `canary 'pw" \ é`

// redisServer is a real one, on ports of its own. It ends with the test's process.
type redisServer struct {
	port, tlsPort int
	// why tells why there is none.
	why error
}

func (s *redisServer) start() (stop func()) {
	dir, err := os.MkdirTemp("", "redistest-")
	if err != nil {
		s.why = err
		return func() {}
	}
	end, err := s.startIn(dir)
	s.why = err
	return func() { end(); _ = os.RemoveAll(dir) }
}

func (s *redisServer) startIn(dir string) (stop func(), err error) {
	nothing := func() {}
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nothing, fmt.Errorf("the Debian package redis-server: %w", err)
	}
	s.port, s.tlsPort = freePort(), freePort()
	if err := certificate(dir); err != nil {
		return nothing, err
	}
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(redisPassword) + `"`
	config := fmt.Sprintf("bind 127.0.0.1\nport %d\ntls-port %d\ntls-cert-file cert\ntls-key-file key\ntls-auth-clients no\n"+
		"tls-ca-cert-file cert\nrequirepass %s\nsave \"\"\nappendonly no\n", s.port, s.tlsPort, quoted)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(config), 0o600); err != nil {
		return nothing, err
	}
	cmd := exec.Command("sh", "-c", `exec 3<&0; redis-server conf 3<&- & read -r x <&3; kill "$!"; wait`)
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		return nothing, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nothing, err
	}
	if err := cmd.Start(); err != nil {
		return nothing, err
	}
	told := make(chan error, 1)
	go func() { // ends with the server
		var said strings.Builder
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Fprintln(&said, lines.Text())
			if strings.Contains(lines.Text(), "Ready to accept connections") {
				break
			}
		}
		if strings.Contains(said.String(), "Ready") {
			told <- nil
		} else {
			told <- errors.New("start redis-server: " + said.String())
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	return func() { _ = in.Close(); _ = cmd.Wait() }, <-told
}

// server returns the server, or ends the test: as skipped where nobody has promised one.
func (s *redisServer) server(t testing.TB) param.Server {
	t.Helper()
	switch {
	case s.why == nil:
	case errors.Is(s.why, exec.ErrNotFound) && os.Getenv("CI") == "":
		t.Skip(s.why)
	default:
		t.Fatal(s.why)
	}
	c := s.client()
	defer c.Close()
	if err := c.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return param.Server{Type: param.Redis, Host: "127.0.0.1", Port: s.port, Password: redisPassword}
}

func (s *redisServer) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", s.port), Password: redisPassword})
}

// postgres returns a database of the test's own.
func postgres(t testing.TB) (param.Server, *pgtest.Database) {
	t.Helper()
	db := database.Database(t)
	return param.Server{
		Type: param.PostgreSQL, Host: "127.0.0.1", Port: db.Port, User: pgtest.User, Password: pgtest.Password, Database: db.Name,
	}, db
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// certificate makes one for 127.0.0.1 and has this process trust it.
func certificate(dir string) error {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return err
	}
	for name, b := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600))
	}
	return errors.Join(err, os.Setenv("SSL_CERT_FILE", filepath.Join(dir, "cert")))
}

// operators are the two operators and where their values are.
type operators map[string]operator.Entry

// task returns a task with the given own parameters.
func task(t testing.TB, own ...any) *operator.Task {
	t.Helper()
	typ, config, local, err := operator.Select(params.Merge(params.Of("shown", "from outside"), params.Of(own...)), params.Of(own...))
	if err != nil {
		t.Fatal(err)
	}
	return &operator.Task{FullName: "+w+t", ID: 7, Execution: 1, Type: typ, Config: config, Local: local, Zone: time.UTC, Now: time.Now()}
}

func (o operators) try(ctx context.Context, task *operator.Task) (*operator.Result, error) {
	return o[task.Type].Operator.Run(ctx, task)
}

// run runs a task and returns what it has stored, as JSON.
func (o operators) run(t testing.TB, own ...any) string {
	t.Helper()
	result, err := o.try(t.Context(), task(t, own...))
	if err != nil {
		t.Fatalf("%v: %v", own, err)
	}
	if result.Reset != nil || result.Subtasks != nil || result.Export != nil {
		t.Errorf("%v: got %+v, want nothing but what is stored", own, result)
	}
	return string(params.Encode(result.Store))
}

// wantFailure checks the whole text of a failure, its kind included.
func (o operators) wantFailure(t testing.TB, want string, own ...any) {
	t.Helper()
	_, err := o.try(t.Context(), task(t, own...))
	var failure *operator.Error
	if !errors.As(err, &failure) || failure.Error() != want {
		t.Errorf("got\n  %v\nwant\n  %s", err, want)
	}
}
