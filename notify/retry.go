package notify

import (
	"errors"
	"time"
)

const (
	firstWait = time.Second
	maxWait   = 5 * time.Minute
	// maxAsked bounds a Retry-After, so that no service can silence an alert for good.
	maxAsked = time.Hour
)

// Error is a Sender's failure. Reason is safe to log: it names the service's answer
// and never a token or the address of a webhook. It deliberately wraps nothing,
// because the errors of net/http quote the request's URL.
type Error struct {
	Reason     string
	Permanent  bool          // the channel refuses for good: the next try would be refused too
	RetryAfter time.Duration // what the service asked for; 0: nothing
}

// Error returns the reason.
func (e *Error) Error() string { return e.Reason }

// Class sorts the outcomes of a try.
type Class int

// The classes.
const (
	Temporary Class = iota // the zero value, because what is unknown is tried again
	Permanent
	Success
)

// Outcome is what a try came to.
type Outcome struct {
	Class      Class
	RetryAfter time.Duration
	Reason     string
}

// OutcomeOf classifies what Send returned. An error of unknown type is temporary.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Outcome{Class: Success}
	}
	var e *Error
	if !errors.As(err, &e) {
		return Outcome{Reason: err.Error()}
	}
	if e.Permanent {
		return Outcome{Class: Permanent, Reason: e.Reason}
	}
	return Outcome{RetryAfter: e.RetryAfter, Reason: e.Reason}
}

// Action is what follows a try.
type Action int

// The actions.
const (
	RetryAt Action = iota
	GiveUp
	Delivered
)

// Decision is what follows a try, with the time of the next one for RetryAt.
type Decision struct {
	Action Action
	At     time.Time
	Reason string
}

// Retry decides what follows a try that ended with o at now, after `tries` earlier
// ones. Waits double from one second up to five minutes and then go on for ever; half
// of a wait is jitter (0 ≤ jitter < 1), and never less than the service asked for.
func Retry(tries int, o Outcome, now time.Time, jitter float64) Decision {
	switch o.Class {
	case Success:
		return Decision{Action: Delivered}
	case Permanent:
		return Decision{Action: GiveUp, Reason: o.Reason}
	default:
		full := maxWait
		if tries < 9 { // 2^9 s is beyond the cap
			full = min(maxWait, firstWait<<max(tries, 0))
		}
		wait := full/2 + time.Duration(float64(full/2)*jitter)
		wait = max(wait, min(o.RetryAfter, maxAsked))
		return Decision{Action: RetryAt, At: now.Add(wait), Reason: o.Reason}
	}
}
