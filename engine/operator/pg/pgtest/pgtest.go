// Package pgtest runs a PostgreSQL server for tests.
//
// It is a real one, of the machine's own, with a cluster in a directory of its own and on
// a port of its own. It ends with the test's process, however that ends.
package pgtest

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
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Password is that of User, who may do everything. It needs quoting nearly everywhere.
const (
	User     = "postgres"
	Password = `canary 'pw" \ é`
)

// Server is a running server on 127.0.0.1.
type Server struct {
	Port int
	// why tells why there is none.
	why       error
	databases atomic.Int64
}

// Main runs the tests of a package with a server: `os.Exit(pgtest.Main(m, &server))`.
func Main(m *testing.M, s **Server) int {
	*s = &Server{}
	stop, err := (*s).start()
	if err != nil {
		(*s).why = err
		return m.Run()
	}
	defer stop()
	return m.Run()
}

// Need ends a test that cannot have its server: as skipped where nobody has promised one.
func (s *Server) Need(t testing.TB) *Server {
	t.Helper()
	switch {
	case s.why == nil:
	case errors.Is(s.why, exec.ErrNotFound) && os.Getenv("CI") == "":
		t.Skip(s.why)
	default:
		t.Fatal(s.why)
	}
	return s
}

// Database makes a database for one test.
func (s *Server) Database(t testing.TB) *Database {
	t.Helper()
	d := &Database{Server: s.Need(t), Name: "test" + strconv.FormatInt(s.databases.Add(1), 10), t: t}
	(&Database{Server: s, Name: "postgres", t: t}).Exec("CREATE DATABASE " + d.Name)
	return d
}

// Database is one of a server's.
type Database struct {
	*Server
	Name string
	t    testing.TB
}

// Connect opens a connection that ends with the test.
func (d *Database) Connect() *pgconn.PgConn {
	d.t.Helper()
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=%s database=%s sslmode=disable", d.Port, User, d.Name))
	if err != nil {
		d.t.Fatal(err)
	}
	config.Password = Password
	c, err := pgconn.ConnectConfig(context.WithoutCancel(d.t.Context()), config)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// Exec runs SQL and returns the rows of its last result, values divided by `|`.
func (d *Database) Exec(sql string) []string {
	d.t.Helper()
	c := d.Connect()
	defer c.Close(context.Background())
	return Exec(d.t, c, sql)
}

// Exec runs SQL over a connection and returns the rows of its last result.
func Exec(t testing.TB, c *pgconn.PgConn, sql string) []string {
	t.Helper()
	results, err := c.Exec(context.WithoutCancel(t.Context()), sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	rows := []string{}
	if len(results) == 0 {
		return rows
	}
	for _, row := range results[len(results)-1].Rows {
		values := make([]string, len(row))
		for i, v := range row {
			values[i] = string(v)
			if v == nil {
				values[i] = "NULL"
			}
		}
		rows = append(rows, strings.Join(values, "|"))
	}
	return rows
}

// start makes a cluster and starts its server.
func (s *Server) start() (stop func(), err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	who, err := account(dir)
	if err != nil {
		return nil, err
	}
	if s.Port, err = freePort(); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	pw := filepath.Join(dir, "pw")
	if err := writeAs(who, pw, []byte(Password+"\n")); err != nil {
		return nil, err
	}
	init := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", User, "-A", "scram-sha-256", "--pwfile", pw,
		"-E", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	init.SysProcAttr, init.Dir = &syscall.SysProcAttr{Credential: who}, dir
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := s.configure(who, data); err != nil {
		return nil, err
	}
	end, err := run(bin, data, who)
	if err != nil {
		return nil, err
	}
	return func() { end(); remove() }, nil
}

// programs returns the directory with the server's programs, which Debian keeps off PATH.
func programs() (string, error) {
	if file, err := exec.LookPath("pg_ctl"); err == nil {
		return filepath.Dir(file), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl")
	if len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL (Debian package postgresql): %w", exec.ErrNotFound)
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// account returns whom the server runs as, and gives them the directory: it refuses root.
func account(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(User)
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
}

func writeAs(who *syscall.Credential, path string, text []byte) error {
	if err := os.WriteFile(path, text, 0o600); err != nil || who == nil {
		return err
	}
	return os.Chown(path, int(who.Uid), int(who.Gid))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *Server) configure(who *syscall.Credential, data string) error {
	cert, key, err := certificate()
	if err != nil {
		return err
	}
	if err := errors.Join(writeAs(who, filepath.Join(data, "server.crt"), cert), writeAs(who, filepath.Join(data, "server.key"), key)); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "\nlisten_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = ''\nssl = on\nmax_connections = 200\n"+
		"fsync = off\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n", s.Port)
	return errors.Join(err, f.Close())
}

// certificate makes one that nobody has signed.
func certificate() (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), nil
}

// run starts the server below a shell that stops it when its standard input ends.
func run(bin, data string, who *syscall.Credential) (stop func(), err error) {
	cmd := exec.Command("sh", "-c", `"$1/pg_ctl" -s -w -D "$2" -l "$2/log" start && echo ready; read -r x; "$1/pg_ctl" -s -D "$2" -m immediate stop`, "sh", bin, data)
	cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Credential: who, Setpgid: true}, data
	var messages strings.Builder
	cmd.Stderr = &messages
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		stop()
		log, _ := os.ReadFile(filepath.Join(data, "log"))
		return nil, fmt.Errorf("start PostgreSQL: %s\n%s", messages.String(), log)
	}
	return stop, nil
}
