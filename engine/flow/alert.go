package flow

import (
	"errors"
	"slices"
	"time"
)

// The kinds of alerts.
const (
	AlertFailed        = "attempt_failed"
	AlertRecovered     = "attempt_recovered"
	AlertSLAMissed     = "sla_missed"
	AlertRejected      = "rejected"
	AlertSkipped       = "ticks_skipped"
	AlertSchedule      = "schedule_failed"
	AlertMessage       = "message"
	AlertSyncFailed    = "sync_failed"
	AlertSyncRecovered = "sync_recovered"
	AlertTimedOut      = "attempt_timed_out"
)

// Alert is what there is to tell, with all that its text needs: the attempt
// may be gone when it is sent.
type Alert struct {
	Kind string
	// At is when it happened.
	At time.Time
	// Incident joins alerts about one thing; those of one incident are sent in
	// order.
	Incident string

	Repo        string        `json:",omitempty"`
	ProjectID   uint64        `json:",omitempty"`
	Project     string        `json:",omitempty"`
	Workflow    string        `json:",omitempty"`
	Session     time.Time     `json:",omitzero"`
	Timezone    string        `json:",omitempty"`
	SessionID   uint64        `json:",omitempty"`
	SessionUUID string        `json:",omitempty"`
	Attempt     uint64        `json:",omitempty"`
	Definition  uint64        `json:",omitempty"` // of the workflow that ran
	Task        string        `json:",omitempty"` // full name of the task that failed
	TaskID      uint64        `json:",omitempty"`
	Message     string        `json:",omitempty"`
	Revision    string        `json:",omitempty"`
	Commit      Commit        `json:",omitzero"`
	Since       time.Time     `json:",omitzero"` // first failure of the streak
	SinceRev    string        `json:",omitempty"`
	Failures    int           `json:",omitempty"` // in a row
	Duration    time.Duration `json:",omitempty"`
	Next        time.Time     `json:",omitzero"` // the workflow's next run
	Details     []string      `json:",omitempty"`
	Recoverable bool          `json:",omitempty"`
}

// Pending is an alert that is not delivered yet.
type Pending struct {
	ID       uint64
	Alert    Alert
	RaisedAt time.Time
	Tries    int
	// Due is when it may be tried next; zero at first.
	Due time.Time
	// Why is the error of the last try.
	Why string

	waiting bool // an older alert of the incident goes first; not part of the value
}

// ErrNoAlert refuses an answer for an alert that is not pending.
var ErrNoAlert = errors.New("no such alert is pending")

// raise adds an alert, to be sent at once unless an older one of the incident
// is still on its way.
func (st *step) raise(a Alert) {
	id := st.s.last.Alert + 1
	a.At = st.now.time()
	st.emit(&AlertRaised{ID: id, At: st.now, Alert: a})
	st.offer(st.s.alerts[id])
}

// offer asks for the delivery of the oldest alert of p's incident if it is p.
func (st *step) offer(p *Pending) {
	if p.waiting = st.s.incidents[p.Alert.Incident][0] != p.ID; p.waiting {
		return
	}
	if p.Due.After(st.now.time()) {
		st.s.timers.add(stampOf(p.Due), timerAlert, p.ID, 0)
		return
	}
	st.effect(st.s.deliver(p))
}

func (s *State) deliver(p *Pending) *Deliver {
	d := &Deliver{ID: p.ID, Alert: p.Alert, Tries: p.Tries}
	if h := s.health[workflowKey{p.Alert.ProjectID, p.Alert.Workflow}]; h != nil {
		d.Thread = h.Thread
	}
	return d
}

func (st *step) alertSent(in *AlertSent) error {
	p := st.s.alerts[in.ID]
	if p == nil {
		return ErrNoAlert
	}
	st.emit(&AlertClosed{ID: in.ID, At: st.now, Thread: in.Thread})
	st.offerNext(p.Alert.Incident)
	return nil
}

func (st *step) alertUndelivered(in *AlertUndelivered) error {
	p := st.s.alerts[in.ID]
	if p == nil {
		return ErrNoAlert
	}
	if in.Retry.IsZero() {
		st.emit(&AlertClosed{ID: in.ID, At: st.now, Why: in.Why})
		st.offerNext(p.Alert.Incident)
		return nil
	}
	st.emit(&AlertDelayed{ID: in.ID, Due: stampOf(in.Retry), Why: in.Why})
	st.s.timers.add(stampOf(in.Retry), timerAlert, in.ID, 0)
	return nil
}

// offerNext turns to the oldest alert of an incident after one was closed.
func (st *step) offerNext(incident string) {
	if ids := st.s.incidents[incident]; len(ids) > 0 {
		st.offer(st.s.alerts[ids[0]])
	}
}

// hold adds an alert that is to be delivered.
func (s *State) hold(p *Pending) {
	s.alerts[p.ID] = p
	s.incidents[p.Alert.Incident] = append(s.incidents[p.Alert.Incident], p.ID)
}

// drop removes an alert.
func (s *State) drop(p *Pending) {
	delete(s.alerts, p.ID)
	ids := s.incidents[p.Alert.Incident]
	if i := slices.Index(ids, p.ID); i == 0 {
		ids = ids[1:]
	} else {
		ids = slices.Delete(ids, i, i+1)
	}
	s.incidents[p.Alert.Incident] = ids
	if len(ids) == 0 {
		delete(s.incidents, p.Alert.Incident)
	}
}

func (s *State) applyAlertRaised(e *AlertRaised) {
	s.hold(&Pending{ID: e.ID, Alert: e.Alert, RaisedAt: e.At.time()})
	s.last.Alert = max(s.last.Alert, e.ID)
	if e.Alert.Kind == AlertSyncFailed || e.Alert.Kind == AlertSyncRecovered {
		repo := s.repos[e.Alert.Repo]
		if repo == nil {
			repo = &Repo{Name: e.Alert.Repo}
			s.repos[repo.Name] = repo
		}
		repo.Failing = e.Alert.Kind == AlertSyncFailed
	}
}

func (s *State) applyAlertDelayed(e *AlertDelayed) {
	p := s.alerts[e.ID]
	p.Tries++
	p.Due, p.Why = e.Due.time(), e.Why
}

func (s *State) applyAlertClosed(e *AlertClosed) {
	p := s.alerts[e.ID]
	s.drop(p)
	key := workflowKey{p.Alert.ProjectID, p.Alert.Workflow}
	h := s.health[key]
	switch {
	case h == nil:
	case p.Alert.Kind != AlertRecovered:
		if e.Thread != (Thread{}) {
			h.Thread = e.Thread
		}
	case h.Failures == 0:
		delete(s.health, key)
	default:
		// It failed again meanwhile: that is an incident of its own.
		h.Thread = Thread{}
	}
}
