package agent

import (
	"net/http"
	"time"

	"gitdag/agent/api"
	"gitdag/engine/secret"
)

// Server is what Digdag's server can be told and the configuration has no key
// for. The zero value changes nothing.
type Server struct {
	// AdminListen is the address of a second interface, which has the
	// administrator's routes too.
	AdminListen string
	// User may do everything that the interface offers.
	User BasicUser
	// Headers are added to each answer below /api/.
	Headers http.Header
	// AccessLog tells of each request.
	AccessLog AccessLog
	Timeouts  Timeouts
	// RuntimeInfo is a file that the addresses are written to, as JSON, once they
	// are listened on.
	RuntimeInfo string
	// VersionFloor is what clients are told of their versions.
	VersionFloor api.VersionFloor
	PageLimit    api.PageLimit
	// ArchiveLimit bounds what is pushed, packed and unpacked; 0 means
	// limits.export_project_bytes.
	ArchiveLimit int64
	// Swagger tells to serve the document of the API under Digdag's path too.
	Swagger bool
	// MaxAttempts is Digdag's limit of attempts that are not over: more are
	// refused. 0 means that they wait for their turn instead.
	MaxAttempts int
	// NoSchedules lets no schedule start anything, NoTasks runs no task.
	NoSchedules, NoTasks bool
	// SecretKey encrypts the secrets of projects, in place of secrets.key_file.
	SecretKey secret.Key
	// Logs is where the logs of tasks lie; empty for in the data directory.
	Logs string
}

// Timeouts bound the waits for clients. Zero means the default.
type Timeouts struct {
	// Idle is between two requests of a connection; default 2 minutes.
	Idle time.Duration
	// Header is for the line of a request and its headers; default 10 seconds.
	Header time.Duration
	// IO is for the rest of a request, and again for the answer, of small ones:
	// larger ones get time for their size. Default: a minute and five.
	IO time.Duration
}
