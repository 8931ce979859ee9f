package pg

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// goodbye bounds the wait for the server to have ended what it does for a connection.
const goodbye = 5 * time.Second

// Server is a database and who connects to it.
type Server struct {
	Host     string
	Port     int
	Database string
	User     string
	Password string
	// SSL encrypts; whose certificate the server has is not looked at.
	SSL bool
	// Schema is the search path; empty for the server's.
	Schema string
	// Connect bounds connecting, Silence the wait for anything from the server.
	Connect, Silence time.Duration
}

// readServer reads the server of a task: each setting is a secret or a parameter, the
// password a secret only.
func readServer(ctx context.Context, r *operator.Settings) (*Server, error) {
	s := &Server{}
	var err error
	if s.Host, err = operator.RequiredSetting(ctx, r, "host", params.String); err != nil {
		return nil, err
	}
	if s.Port, err = operator.Setting(ctx, r, "port", params.Int, 5432); err != nil {
		return nil, err
	}
	if s.User, err = operator.RequiredSetting(ctx, r, "user", params.String); err != nil {
		return nil, err
	}
	if s.Database, err = operator.RequiredSetting(ctx, r, "database", params.String); err != nil {
		return nil, err
	}
	if s.Password, err = readPassword(ctx, r); err != nil {
		return nil, err
	}
	if s.SSL, err = operator.Setting(ctx, r, "ssl", params.Bool, false); err != nil {
		return nil, err
	}
	if s.Schema, err = operator.Setting(ctx, r, "schema", params.String, ""); err != nil {
		return nil, err
	}
	if s.Connect, err = operator.Setting(ctx, r, "connect_timeout", params.Duration, 30*time.Second); err != nil {
		return nil, err
	}
	if s.Silence, err = operator.Setting(ctx, r, "socket_timeout", params.Duration, 1800*time.Second); err != nil {
		return nil, err
	}
	return s, s.check()
}

func readPassword(ctx context.Context, r *operator.Settings) (string, error) {
	other, err := params.Optional(r.Config, "password_override", params.String, "")
	if err != nil {
		return "", err
	}
	if other != "" {
		return r.Secret(ctx, other)
	}
	password, _, err := r.OptionalSecret(ctx, "password")
	return password, err
}

func (s *Server) check() error {
	switch {
	case s.Host == "" || strings.HasPrefix(s.Host, "/"):
		// A socket would let the task in as the account that gitdag runs under.
		return operator.ConfigError("Parameter 'host' must be a name or an address")
	case s.Port < 1 || s.Port > 65535:
		return operator.ConfigError("Parameter 'port' must be between 1 and 65535, not %d", s.Port)
	case s.Connect <= 0 || s.Silence <= 0:
		return operator.ConfigError("Parameters 'connect_timeout' and 'socket_timeout' must be longer than nothing")
	}
	return nil
}

// The ends of a session that are no wish of who has begun it.
var (
	errSilent = errors.New("the server has not answered in time")
	errCopy   = errors.New("COPY … FROM STDIN has nothing to read here")
)

// Session connects, runs f and disconnects. When ctx ends meanwhile, the server is told
// to end the statement, and has a moment for it before Session returns. Notices go to log.
func (s *Server) Session(ctx context.Context, log io.Writer, f func(ctx context.Context, c *pgconn.PgConn) error) error {
	inner, end := context.WithCancelCause(ctx)
	defer end(nil)
	c, err := s.connect(inner, log, end)
	if err != nil {
		return err
	}
	defer disconnect(context.WithoutCancel(ctx), c)
	err = f(inner, c)
	switch cause := context.Cause(inner); {
	case err == nil || cause == nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(cause, errSilent):
		return &operator.Error{Message: fmt.Sprintf("Failed to run the statement [%v, which is %s]", cause, s.Silence)}
	default:
		return &operator.Error{Message: fmt.Sprintf("Failed to run the statement [%v]", cause)}
	}
}

func (s *Server) connect(ctx context.Context, log io.Writer, end context.CancelCauseFunc) (*pgconn.PgConn, error) {
	config, err := s.config(log, end)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, s.Connect)
	defer cancel()
	c, err := pgconn.ConnectConfig(limited, config)
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, err
	case limited.Err() != nil:
		err = fmt.Errorf("no connection within %s", s.Connect)
	}
	what := fmt.Sprintf("Failed to connect to %s as %s at %s", s.Database, s.User, net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if inner := (*pgconn.ConnectError)(nil); errors.As(err, &inner) {
		err = inner.Unwrap()
	}
	return nil, failed(what, err, script{})
}

// config makes the client's configuration. Nothing of it comes from the environment or
// from the home directory of the account that gitdag runs under.
func (s *Server) config(log io.Writer, end context.CancelCauseFunc) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig("host=x user=x password=x database=x sslmode=disable target_session_attrs=any")
	if err != nil {
		return nil, fmt.Errorf("prepare a connection: %w", err)
	}
	config.Host, config.Port = s.Host, uint16(s.Port)
	config.User, config.Password, config.Database = s.User, s.Password, s.Database
	config.Fallbacks, config.ConnectTimeout = nil, 0
	config.RequireAuth, config.ChannelBinding, config.SSLNegotiation = "", "prefer", ""
	config.KerberosSrvName, config.KerberosSpn = "", ""
	config.RuntimeParams = map[string]string{"application_name": "digdag", "client_encoding": "UTF8", "DateStyle": "ISO"}
	if s.Schema != "" {
		config.RuntimeParams["search_path"] = s.Schema
	}
	if s.SSL {
		config.TLSConfig = &tls.Config{ServerName: s.Host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	}
	dialer := &net.Dialer{KeepAlive: time.Minute}
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return watch(conn, s.Silence, func() { end(errSilent) }), nil
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(&copyGuard{Reader: r, found: func() { end(errCopy) }}, w)
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		fmt.Fprintf(log, "%s: %s\n", n.Severity, n.Message)
	}
	return config, nil
}

// disconnect ends a connection, and waits a moment for the server to have ended what was
// given up.
func disconnect(ctx context.Context, c *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(ctx, goodbye)
	defer cancel()
	_ = c.Close(ctx) // what was written is committed or given up by now
	select {
	case <-c.CleanupDone():
	case <-ctx.Done():
	}
}
