package param

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"gitdag/engine/operator/pg"
)

// Server is where values are kept. The zero value means a directory of our own.
type Server struct {
	// Type is "postgresql", "redis" or empty.
	Type string
	// Host is a name or an address; for Redis localhost if it is empty.
	Host string
	// Port is 5432 or 6379 if it is 0.
	Port int
	// User may be empty for Redis.
	User     string
	Password string
	// Database is PostgreSQL's only.
	Database string
	// SSL encrypts. The certificate of a Redis server must be valid, that of a PostgreSQL
	// server is not looked at.
	SSL bool
	// Connect bounds connecting (30 seconds), Silence the wait for anything from the
	// server (30 minutes for PostgreSQL, 30 seconds for Redis).
	Connect, Silence time.Duration
}

// The types of servers.
const (
	PostgreSQL = "postgresql"
	Redis      = "redis"
)

// Validate refuses a server that cannot be meant.
func (s Server) Validate() error {
	switch {
	case s.Type == "" && s != (Server{}):
		return fmt.Errorf("type is missing: it is %s or %s", PostgreSQL, Redis)
	case s.Type != "" && s.Type != PostgreSQL && s.Type != Redis:
		return fmt.Errorf("type is %s or %s, not %q", PostgreSQL, Redis, s.Type)
	case s.Port < 0 || s.Port > 65535:
		return fmt.Errorf("port is between 1 and 65535, not %d", s.Port)
	case strings.HasPrefix(s.Host, "/"):
		return fmt.Errorf("host is a name or an address, not %q", s.Host)
	case s.Type == Redis && s.Database != "":
		return fmt.Errorf("database is for %s", PostgreSQL)
	case s.Type != PostgreSQL:
		return nil
	}
	for _, needed := range []struct{ key, value string }{{"host", s.Host}, {"user", s.User}, {"database", s.Database}} {
		if needed.value == "" {
			return fmt.Errorf("%s is missing, which %s needs", needed.key, PostgreSQL)
		}
	}
	return nil
}

func (s Server) store(dir string) store {
	connect := cmp.Or(s.Connect, 30*time.Second)
	switch s.Type {
	case PostgreSQL:
		return &postgres{pg.Server{
			Host: s.Host, Port: cmp.Or(s.Port, 5432), Database: s.Database, User: s.User, Password: s.Password, SSL: s.SSL,
			Connect: connect, Silence: cmp.Or(s.Silence, 30*time.Minute),
		}}
	case Redis:
		s.Host, s.Port = cmp.Or(s.Host, "localhost"), cmp.Or(s.Port, 6379)
		s.Connect, s.Silence = connect, cmp.Or(s.Silence, 30*time.Second)
		return newRemote(s)
	}
	return newDirectory(dir)
}
