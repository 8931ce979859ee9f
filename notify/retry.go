package notify

import (
	"errors"
	"fmt"
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

// SettingError is what New of a channel says of a wrong setting, by the name that it has
// in every configuration: "url", "headers.Accept".
type SettingError struct {
	Name   string
	Reason string // quotes no secret
}

// Error returns the name with the reason.
func (e *SettingError) Error() string { return e.Name + ": " + e.Reason }

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

// Backoff says how patient the deliveries of a channel are.
type Backoff struct {
	Retries  int           // how many tries may follow the first; negative: any number
	First    time.Duration // the first wait; each further one is twice as long
	Longest  time.Duration // the longest wait
	MaxAsked time.Duration // the longest wait that the service may ask for
	Jitter   float64       // the share of a wait that is random, 0 to 1
	Stubborn bool          // what a channel refuses for good is tried again too
}

// DefaultBackoff is that of a channel that has none of its own: waits double from
// one second up to five minutes and then go on for ever; half of a wait is jitter.
func DefaultBackoff() Backoff {
	return Backoff{Retries: -1, First: firstWait, Longest: maxWait, MaxAsked: maxAsked, Jitter: 0.5}
}

// Retry decides what follows a try that ended with o at now, after `tries` earlier
// ones. A wait is never shorter than the service asked for, up to MaxAsked.
// jitter is random, 0 ≤ jitter < 1.
func (b Backoff) Retry(tries int, o Outcome, now time.Time, jitter float64) Decision {
	tries = max(tries, 0)
	switch {
	case o.Class == Success:
		return Decision{Action: Delivered}
	case o.Class == Permanent && !b.Stubborn:
		return Decision{Action: GiveUp, Reason: o.Reason}
	case b.Retries >= 0 && tries >= b.Retries:
		return Decision{Action: GiveUp, Reason: fmt.Sprintf("%s (%s)", o.Reason, plural(tries+1, "try"))}
	}
	full := b.Longest
	if shift := min(tries, 62); b.First <= b.Longest>>shift { // else it is beyond the cap
		full = b.First << shift
	}
	random := time.Duration(float64(full) * b.Jitter)
	wait := full - random + time.Duration(float64(random)*jitter)
	wait = max(wait, min(o.RetryAfter, b.MaxAsked))
	return Decision{Action: RetryAt, At: now.Add(wait), Reason: o.Reason}
}

// Retry decides by the default.
func Retry(tries int, o Outcome, now time.Time, jitter float64) Decision {
	return DefaultBackoff().Retry(tries, o, now, jitter)
}

// patient is a channel with a back-off of its own.
type patient struct {
	Sender
	backoff Backoff
}

// WithBackoff returns a channel whose deliveries a Courier tries again by b.
func WithBackoff(s Sender, b Backoff) Sender { return patient{s, b} }

// backoffOf returns the back-off of a channel.
func backoffOf(s Sender) Backoff {
	if p, ok := s.(patient); ok {
		return p.backoff
	}
	return DefaultBackoff()
}
