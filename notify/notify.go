// Package notify turns what happened (an attempt failed, a remote is away, a
// commit was rejected) into messages for people: whether an alert is due, which
// channel it goes to, what it says and when it is tried again.
//
// It knows neither the engine nor the journal nor Git: the agent fills an Alert
// in, keeps it among the pending ones and records what came of each try. The
// rules (Incident, Decide, Retry, Render) are pure functions; a Sender delivers
// through one channel, and Courier joins the two for one try.
//
// Invariant: no alert is dropped in silence. A try ends delivered, with a time
// for the next one, or given up with a reason and the alert's own text in the log.
package notify

import (
	"context"
	"strings"
	"time"
)

// Kind names the event behind an alert; its text is the one that routes match.
type Kind string

// The kinds of alerts.
const (
	AttemptFailed    Kind = "attempt_failed"
	AttemptRecovered Kind = "attempt_recovered" // first success of a workflow after failures
	SLAMissed        Kind = "sla_missed"
	TimedOut         Kind = "attempt_timed_out" // an attempt was ended because it ran for too long
	FinishedLate     Kind = "finished_late"     // the attempt that missed its SLA has succeeded
	SyncFailed       Kind = "sync_failed"
	SyncRecovered    Kind = "sync_recovered"
	Rejected         Kind = "rejected" // a commit's project, or a whole commit, was not deployed
	Deployed         Kind = "deployed"
	AgentCrashed     Kind = "agent_crashed" // the agent started after a crash
	ScheduleSilent   Kind = "schedule_silent"
	ScheduleFailed   Kind = "schedule_failed" // a tick could not start its attempt
	TicksSkipped     Kind = "ticks_skipped"   // more missed ticks than the catch-up limit
	DiskNearlyFull   Kind = "disk_nearly_full"
	ClockJumped      Kind = "clock_jumped"
	Notice           Kind = "message" // a workflow's own words
)

// State is the word that the message's first line begins with. A kind that this
// version does not know is spelt out rather than refused.
func (k Kind) State() string {
	switch k {
	case AttemptFailed:
		return "FAILED"
	case AttemptRecovered:
		return "RECOVERED"
	case TimedOut:
		return "TIMED OUT"
	case AgentCrashed:
		return "AGENT RESTARTED"
	case Notice:
		return "NOTICE"
	default:
		return strings.ToUpper(strings.ReplaceAll(string(k), "_", " "))
	}
}

// Closes reports whether the event ends an incident, so that the incident's first
// message is edited instead of answered.
func (k Kind) Closes() bool {
	return k == AttemptRecovered || k == SyncRecovered || k == FinishedLate
}

// Tone is how a message looks before anyone reads it: its colour.
type Tone int

// The tones.
const (
	Info Tone = iota
	Good
	Warning
	Bad
)

// Tone is the tone of a kind.
func (k Kind) Tone() Tone {
	switch k {
	case AttemptFailed, TimedOut, SyncFailed, Rejected, ScheduleSilent, ScheduleFailed, DiskNearlyFull:
		return Bad
	case AttemptRecovered, SyncRecovered:
		return Good
	case Deployed, Notice:
		return Info
	default:
		return Warning
	}
}

// Commit is one commit as people know it. Only ID is needed for it to show.
type Commit struct {
	ID      string // full hash; messages show the first eight characters
	Author  string
	Subject string
	Link    string
}

// Receipt is where a message went. Alerts of one incident hand the receipt of the
// incident's first message back in, as Alert.Thread. TS is empty where the channel
// can neither edit nor thread.
type Receipt struct {
	Via     string // name of the configured channel; empty: not known, taken for the one at hand
	Channel string // the service's own id of the channel
	TS      string // the service's id of the message
}

// Alert is one event as a message shows it. Empty fields are left out of the
// message. Texts must be masked already: nothing here knows the secrets.
type Alert struct {
	Key  string // stable identity: the same alert has the same key on every try
	Kind Kind
	At   time.Time // when it happened

	Repo     string // repository's name
	Project  string
	Workflow string
	Session  time.Time // session time in the workflow's zone; the other times are shown in this zone
	Attempt  uint64
	Task     string // full name of the failing task

	// What a program asks for and no message shows; see Payload.
	ProjectID, SessionID, DefinitionID uint64
	SessionUUID                        string
	Timezone                           string // the workflow's, by name
	RevisionName                       string // as the API names it; Revision.ID if empty

	Message     string   // cause, or of a recovery the cause of the failures
	LogTail     []string // last lines of the task's log, without line ends; LogLines of them are shown
	Diagnostics []string // file:line:col: severity: message

	Revision     Commit
	FailingSince Commit   // revision of the incident's first failure
	Changes      []Commit // commits that touched the project since its last success
	Link         string   // page of the attempt, or of whatever the alert is about

	Since    time.Time // the incident's first failure
	Count    int       // failures in the incident, this one included
	Duration time.Duration
	Usual    time.Duration // usual duration
	Deadline time.Time     // SLA
	Next     time.Time     // next scheduled run

	Thread Receipt // the incident's first message; zero: there is none yet
}

// Incident names what is failing or was, for grouping: project/workflow, project,
// repository, or the agent itself.
func (a Alert) Incident() string {
	switch {
	case a.Workflow != "" && a.Project != "":
		return a.Project + "/" + a.Workflow
	case a.Workflow != "":
		return a.Workflow
	case a.Project != "":
		return a.Project
	case a.Repo != "":
		return a.Repo
	default:
		return "agent"
	}
}

// Sender delivers alerts through one channel. Send returns when the service has
// taken the message; it honours ctx, may be called concurrently and may deliver
// twice what it reports as failed. Its error is an *Error, or says that ctx ended.
// It returns the receipt to be stored for the incident: that of the first message,
// also when it answered or edited that one.
type Sender interface {
	Send(ctx context.Context, a Alert) (Receipt, error)
}
