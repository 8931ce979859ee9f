package gitsync

import (
	"context"
	"fmt"
	"time"
)

// Checker loads and checks one project.
type Checker interface {
	// Check reads the project in dir, which is never changed afterwards. It is
	// called from several goroutines. An error means that the check itself
	// could not be made: it fails the whole sync, which is tried again.
	Check(ctx context.Context, name, dir string) (Checked, error)
}

// Checked is the result of a check. A diagnostic of severity Error rejects the
// project.
type Checked struct {
	Compiled    any // handed on to Target.Deploy as it is
	Diagnostics []Diagnostic
}

// Severity says what a diagnostic does to its project.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is one finding in a file. Line and Column count from one; zero
// means that they are unknown.
type Diagnostic struct {
	File     string // path below the project
	Line     int
	Column   int
	Severity Severity
	Message  string
}

// String formats the diagnostic as file:line:column: severity: message.
func (d Diagnostic) String() string {
	place := d.File
	if d.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Column)
	}
	if place == "" {
		return fmt.Sprintf("%s: %s", d.Severity, d.Message)
	}
	return fmt.Sprintf("%s: %s: %s", place, d.Severity, d.Message)
}

// Target is what deploys a commit: the engine. Its methods are called from one
// goroutine per repository.
type Target interface {
	// Live says what is live of a repository. It is asked at every poll.
	Live(ctx context.Context, repo string) (Live, error)
	// Deploy makes one commit live, all of it or nothing. It is durable when
	// Deploy returns nil; an error leaves everything as it was.
	Deploy(ctx context.Context, d Deployment) error
	// Report records an event for the log and the alerts.
	Report(ctx context.Context, e Event) error
	// InUse lists the trees of every checkout that a live project or an attempt
	// of any repository refers to. All others may be deleted.
	InUse(ctx context.Context) ([]string, error)
}

// Live is what the Target remembers of a repository. The zero value is a
// repository that was never deployed.
type Live struct {
	Commit   Commit            // of the last deployment, whatever it rejected
	Scope    string            // of the last deployment
	Since    time.Time         // when it became live
	Projects []LiveProject     // in any order
	Rejected []Rejection       // of the last deployment
	Taken    map[string]string // names of live projects of others, and what has them: "a project of …"
	Failing  bool              // SyncFailed was reported and SyncRecovered was not
}

// LiveProject is a project that is live.
type LiveProject struct {
	Path     string // below the repository's root, "." for the root itself
	Name     string
	Tree     string // the checkout's key
	Revision string // commit by which this tree was first deployed
}

// Commit is what people want to know of a commit.
type Commit struct {
	Hash        string
	AuthorName  string
	AuthorEmail string
	Subject     string
	Time        time.Time // committed
}

// Relation says how a deployment's commit follows from the last one.
type Relation string

// The relations. Unknown means that the answer lies beyond the fetched depth.
const (
	First       Relation = "first"
	FastForward Relation = "fast-forward"
	Rewrite     Relation = "rewrite"
	Unknown     Relation = "unknown"
	Same        Relation = "same" // the commit is live already, but what is read of it has changed
)

// Deployment is all that one commit changes.
type Deployment struct {
	Repo     string
	Scope    string // opaque; comes back in Live
	Ref      string
	Commit   Commit
	Relation Relation
	Since    []Commit      // commits since the last live one, newest first, 50 at most
	Projects []Project     // new and changed ones
	Kept     []LiveProject // unchanged, or rejected and kept at their last good revision
	Removed  []LiveProject
	Rejected []Rejection
}

// Project is a new or changed project whose check found no error.
type Project struct {
	LiveProject
	Dir      string // the checkout, never changed; deleted only when InUse does not name its tree
	Compiled any    // of the Checker
	Warnings []Diagnostic
}

// Rejection is a project, or a folder, that is not deployed by this commit.
type Rejection struct {
	Path        string // of the project, or of the folder that is refused with all projects in it
	Name        string // of the project, if it has one
	Diagnostics []Diagnostic
}

// EventKind names what an Event tells.
type EventKind string

// The events.
const (
	SyncFailed    EventKind = "sync_failed"    // the remote has been away for AlertAfter; once
	SyncRecovered EventKind = "sync_recovered" // it is back; once, if SyncFailed was reported
	Rewritten     EventKind = "rewritten"      // the reference was rewritten; it is followed. At least once
)

// Event is something that people may want to be told.
type Event struct {
	Kind   EventKind
	Repo   string
	Time   time.Time
	Since  time.Time // when the failures began
	Err    string    // of SyncFailed: the last failure
	Commit Commit    // of Rewritten: the new tip
	Old    string    // of Rewritten: the commit that was live
}
