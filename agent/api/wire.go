package api

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gitdag/engine/params"
)

// ID is the id of something: a text of digits on the wire.
type ID uint64

// MarshalJSON writes the text.
func (id ID) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatUint(uint64(id), 10)), nil
}

// UnmarshalJSON takes a text and a number.
func (id *ID) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseUint(strings.Trim(string(text), `"`), 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not an id", text)
	}
	*id = ID(n)
	return nil
}

// String returns the digits.
func (id ID) String() string { return strconv.FormatUint(uint64(id), 10) }

// Instant is a moment: in UTC and whole seconds on the wire, null for the zero
// value.
type Instant struct{ time.Time }

// MarshalJSON writes the text.
func (t Instant) MarshalJSON() ([]byte, error) {
	return appendTime(t.UTC(), "2006-01-02T15:04:05Z"), nil
}

// UnmarshalJSON takes any ISO time with an offset.
func (t *Instant) UnmarshalJSON(text []byte) error { return readTime(&t.Time, text) }

// Local is a moment with the offset of a workflow's zone, null for the zero
// value.
type Local struct{ time.Time }

// MarshalJSON writes the text.
func (t Local) MarshalJSON() ([]byte, error) {
	layout := "2006-01-02T15:04:05-07:00"
	if _, offset := t.Zone(); offset%60 != 0 {
		layout += ":00"
	}
	return appendTime(t.Time, layout), nil
}

// UnmarshalJSON takes any ISO time with an offset.
func (t *Local) UnmarshalJSON(text []byte) error { return readTime(&t.Time, text) }

func appendTime(t time.Time, layout string) []byte {
	if t.IsZero() {
		return []byte("null")
	}
	return strconv.AppendQuote(nil, t.Format(layout))
}

// readTime keeps the offset that the text has.
func readTime(t *time.Time, text []byte) error {
	if string(text) == "null" {
		*t = time.Time{}
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z07:00:00"} {
		if v, err := time.Parse(`"`+layout+`"`, string(text)); err == nil {
			*t = v
			return nil
		}
	}
	return fmt.Errorf("%s is not a time with an offset", text)
}

// Named is a project, or a workflow in a schedule.
type Named struct {
	ID   ID     `json:"id"`
	Name string `json:"name"`
}

// WorkflowRef is the workflow of an attempt or a session.
type WorkflowRef struct {
	Name string `json:"name"`
	ID   *ID    `json:"id"`
}

// Project is a live project.
type Project struct {
	ID          ID      `json:"id"`
	Name        string  `json:"name"`
	Revision    string  `json:"revision"`
	CreatedAt   Instant `json:"createdAt"`
	UpdatedAt   Instant `json:"updatedAt"`
	DeletedAt   Instant `json:"deletedAt" schema:"null"`
	ArchiveType string  `json:"archiveType"`
	ArchiveMD5  *string `json:"archiveMd5"`
}

// Workflow is a workflow definition.
type Workflow struct {
	ID       ID          `json:"id"`
	Name     string      `json:"name"`
	Project  Named       `json:"project"`
	Revision string      `json:"revision"`
	Timezone string      `json:"timezone"`
	Config   *params.Map `json:"config"`
}

// SessionTime is a session time as a workflow sees it.
type SessionTime struct {
	Project     Named  `json:"project"`
	Revision    string `json:"revision"`
	SessionTime Local  `json:"sessionTime"`
	Timezone    string `json:"timezone"`
}

// Schedule is the timer of a workflow.
type Schedule struct {
	ID               ID      `json:"id"`
	Project          Named   `json:"project"`
	Workflow         Named   `json:"workflow"`
	NextRunTime      Instant `json:"nextRunTime"`
	NextScheduleTime Local   `json:"nextScheduleTime"`
	DisabledAt       Instant `json:"disabledAt" schema:"null"`
}

// ScheduleSummary is what a change of a schedule has led to.
type ScheduleSummary struct {
	Schedule
	CreatedAt Instant `json:"createdAt"`
	UpdatedAt Instant `json:"updatedAt"`
}

// SkipRequest moves a schedule on: to NextTime, which may be local to the
// workflow's zone, or by Count ticks from FromTime. NextRunTime, if given, is
// when the next tick runs.
type SkipRequest struct {
	FromTime    Instant `json:"fromTime" schema:"null"`
	Count       *int    `json:"count"`
	NextTime    *string `json:"nextTime"`
	NextRunTime Instant `json:"nextRunTime" schema:"null"`
	DryRun      bool    `json:"dryRun"`
}

// BackfillRequest asks for attempts of what a schedule had in the past.
type BackfillRequest struct {
	FromTime    Instant `json:"fromTime"`
	AttemptName string  `json:"attemptName"`
	Count       *int    `json:"count"`
	DryRun      bool    `json:"dryRun"`
	// Params are laid over those of the project, as those of a start are.
	Params *params.Map `json:"params,omitempty"`
}

// BackfillResult holds the attempts of a backfill in the order in which they
// run. Those of a dry run have the id 0.
type BackfillResult struct {
	ID       ID        `json:"id"`
	Project  Named     `json:"project"`
	Workflow Named     `json:"workflow"`
	Attempts []Attempt `json:"attempts"`
}

// EnableRequest enables a schedule. With SkipSchedule it moves on to NextTime,
// which may be local to the workflow's zone; now if that is absent.
type EnableRequest struct {
	SkipSchedule bool    `json:"skipSchedule" schema:"optional"`
	NextTime     *string `json:"nextTime"`
}

// Revision is what one push or commit made of a project. ID is for paging.
type Revision struct {
	ID          ID          `json:"id"`
	Revision    string      `json:"revision"`
	CreatedAt   Instant     `json:"createdAt"`
	ArchiveType string      `json:"archiveType"`
	ArchiveMD5  *string     `json:"archiveMd5"`
	UserInfo    *params.Map `json:"userInfo"`
}

// Secret is the key of a secret; Project is absent in lists.
type Secret struct {
	Key     string `json:"key"`
	Project *Named `json:"project,omitempty"`
}

// SecretRequest sets a secret.
type SecretRequest struct {
	Value string `json:"value"`
}

// Session is a workflow's run for one time, with its newest attempt.
type Session struct {
	ID          ID           `json:"id"`
	Project     Named        `json:"project"`
	Workflow    WorkflowRef  `json:"workflow"`
	SessionUUID string       `json:"sessionUuid"`
	SessionTime Local        `json:"sessionTime"`
	LastAttempt *LastAttempt `json:"lastAttempt"`
}

// LastAttempt is what a session tells of its newest attempt.
type LastAttempt struct {
	ID               ID          `json:"id"`
	RetryAttemptName *string     `json:"retryAttemptName"`
	Done             bool        `json:"done"`
	Success          bool        `json:"success"`
	CancelRequested  bool        `json:"cancelRequested"`
	Params           *params.Map `json:"params"`
	CreatedAt        Instant     `json:"createdAt"`
	FinishedAt       Instant     `json:"finishedAt" schema:"null"`
}

// Attempt is one run of a session. Status is running, success, error or killed.
type Attempt struct {
	Status           string      `json:"status"`
	ID               ID          `json:"id"`
	Index            int         `json:"index"`
	Project          Named       `json:"project"`
	Workflow         WorkflowRef `json:"workflow"`
	SessionID        ID          `json:"sessionId"`
	SessionUUID      string      `json:"sessionUuid"`
	SessionTime      Local       `json:"sessionTime"`
	RetryAttemptName *string     `json:"retryAttemptName"`
	Done             bool        `json:"done"`
	Success          bool        `json:"success"`
	CancelRequested  bool        `json:"cancelRequested"`
	Params           *params.Map `json:"params"`
	CreatedAt        Instant     `json:"createdAt"`
	FinishedAt       Instant     `json:"finishedAt" schema:"null"`
}

// StartRequest asks for a new attempt.
type StartRequest struct {
	WorkflowID       ID      `json:"workflowId"`
	SessionTime      Instant `json:"sessionTime"`
	Params           any     `json:"params"`
	RetryAttemptName *string `json:"retryAttemptName"`
	Resume           *Resume `json:"resume"`
}

// The modes of a [Resume]: all that succeeded is taken over, or what stands in
// front of one task.
const (
	ResumeFailed = "failed"
	ResumeFrom   = "from"
)

// Resume says what a new attempt takes over from another one.
type Resume struct {
	Mode      string `json:"mode"`
	AttemptID ID     `json:"attemptId"`
	// From, of that mode, is the end of the full name of one task.
	From string `json:"from,omitempty"`
}

// Task is a task of an attempt.
type Task struct {
	ID              ID          `json:"id"`
	FullName        string      `json:"fullName"`
	ParentID        *ID         `json:"parentId"`
	Config          *params.Map `json:"config"`
	Upstreams       []ID        `json:"upstreams"`
	State           string      `json:"state"`
	CancelRequested bool        `json:"cancelRequested"`
	ExportParams    *params.Map `json:"exportParams"`
	StoreParams     *params.Map `json:"storeParams"`
	StateParams     *params.Map `json:"stateParams"`
	UpdatedAt       Instant     `json:"updatedAt"`
	RetryAt         Instant     `json:"retryAt" schema:"null"`
	StartedAt       Instant     `json:"startedAt" schema:"null"`
	Error           *params.Map `json:"error"`
	IsGroup         bool        `json:"isGroup"`
}

// LogFile is the log of one execution of a task. It only grows.
type LogFile struct {
	FileName string  `json:"fileName"`
	FileSize int64   `json:"fileSize"`
	TaskName string  `json:"taskName"`
	FileTime Instant `json:"fileTime"`
	AgentID  string  `json:"agentId"`
	Direct   *string `json:"direct"`
}

// Version is the agent's version.
type Version struct {
	Version string `json:"version"`
}

// VersionCheck tells a client whether it may go on.
type VersionCheck struct {
	ServerVersion      string `json:"serverVersion"`
	UpgradeRecommended bool   `json:"upgradeRecommended"`
	APICompatible      bool   `json:"apiCompatible"`
}
