package notify

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// scripted answers with its errors in turn, then with success.
type scripted struct {
	errs []error
	seen []Alert
}

func (s *scripted) Send(_ context.Context, a Alert) (Receipt, error) {
	s.seen = append(s.seen, a)
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		if err != nil {
			return Receipt{Channel: "not to be used"}, err
		}
	}
	return Receipt{Channel: "C1", TS: "1.0"}, nil
}

func courier(log *bytes.Buffer, channels map[string]Sender) Courier {
	return Courier{Channels: channels, Log: slog.New(slog.NewTextHandler(log, nil)), Jitter: func() float64 { return 0 }}
}

var (
	errDown    = &Error{Reason: "status 500"}
	errRefused = &Error{Reason: "invalid_auth", Permanent: true}
)

func TestDeliver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retry := func(d time.Duration, reason string) Delivery {
			return Delivery{Decision: Decision{Action: RetryAt, At: time.Now().Add(d), Reason: reason}}
		}
		delivered := func(via string) Delivery {
			return Delivery{Decision: Decision{Action: Delivered}, Receipt: Receipt{Via: via, Channel: "C1", TS: "1.0"}}
		}
		givenUp := func(reason string) Delivery { return Delivery{Decision: Decision{Action: GiveUp, Reason: reason}} }
		tests := []struct {
			name        string
			main, spare []error
			target      Target
			tries       int
			want        Delivery
		}{
			{"delivered", nil, nil, Target{"main", nil}, 0, delivered("main")},
			{"down", []error{errDown}, nil, Target{"main", []string{"spare"}}, 2, retry(2*time.Second, "status 500")},
			{"unknown error", []error{errors.New("odd")}, nil, Target{"main", nil}, 0, retry(500*time.Millisecond, "odd")},
			{"refused, no fallback", []error{errRefused}, nil, Target{"main", nil}, 0, givenUp("main: invalid_auth")},
			{"refused, fallback", []error{errRefused}, nil, Target{"main", []string{"spare"}}, 0, delivered("spare")},
			{"refused, fallback down", []error{errRefused}, []error{errDown}, Target{"main", []string{"spare"}}, 0, retry(500*time.Millisecond, "status 500")},
			{"refused by both", []error{errRefused}, []error{errRefused}, Target{"main", []string{"spare"}}, 0, givenUp("main: invalid_auth; spare: invalid_auth")},
			{"no such channel", nil, nil, Target{"gone", []string{"spare"}}, 0, delivered("spare")},
			{"none of them", nil, nil, Target{"gone", nil}, 0, givenUp("gone: no such channel is configured")},
		}
		for _, tt := range tests {
			var log bytes.Buffer
			c := courier(&log, map[string]Sender{"main": &scripted{errs: tt.main}, "spare": &scripted{errs: tt.spare}})
			got, err := c.Deliver(t.Context(), Alert{Key: "attempt/7", Kind: AttemptFailed, Project: "p", Workflow: "w"}, tt.target, tt.tries)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, d)
			}
			if lost := got.Action == GiveUp; lost && !strings.Contains(log.String(), "FAILED  p/w") {
				t.Errorf("%s: given up, but the log does not hold the alert:\n%s", tt.name, log.String())
			}
		}
	})
}

// An alert that its service will not take for an hour is delivered once it does, and
// is tried about as often as the back-off says: never in a tight loop.
func TestDeliverUntilItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		sender := &untilAfter{open: start.Add(time.Hour)}
		var log bytes.Buffer
		c := courier(&log, map[string]Sender{"main": sender})
		var d Delivery
		tries := 0
		for ; d.Action != Delivered; tries++ {
			var err error
			if d, err = c.Deliver(t.Context(), Alert{Kind: AttemptFailed}, Target{Channel: "main"}, tries); err != nil {
				t.Fatal(err)
			}
			if d.Action == RetryAt {
				time.Sleep(time.Until(d.At))
			}
		}
		if late := time.Since(sender.open); late > maxWait {
			t.Errorf("delivered %s after the service came back, want at most %s", late, maxWait)
		}
		if tries < 20 || tries > 40 {
			t.Errorf("got %d tries in an hour", tries)
		}
	})
}

type untilAfter struct{ open time.Time }

func (u *untilAfter) Send(context.Context, Alert) (Receipt, error) {
	if time.Now().Before(u.open) {
		return Receipt{}, errDown
	}
	return Receipt{}, nil
}

// A thread belongs to the channel that its first message went to.
func TestDeliverHidesAnotherChannelsThread(t *testing.T) {
	main, spare := &scripted{errs: []error{errRefused}}, &scripted{}
	var log bytes.Buffer
	c := courier(&log, map[string]Sender{"main": main, "spare": spare})
	thread := Receipt{Via: "main", Channel: "C1", TS: "1.0"}
	if _, err := c.Deliver(t.Context(), Alert{Thread: thread}, Target{"main", []string{"spare"}}, 0); err != nil {
		t.Fatal(err)
	}
	if got := main.seen[0].Thread; got != thread {
		t.Errorf("its own channel: got %v, want %v", got, thread)
	}
	if got := spare.seen[0].Thread; got != (Receipt{}) {
		t.Errorf("another channel: got %v, want none", got)
	}
}

func TestDeliverStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log bytes.Buffer
	c := courier(&log, map[string]Sender{"main": &scripted{errs: []error{context.Canceled}}})
	if _, err := c.Deliver(ctx, Alert{}, Target{Channel: "main"}, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if log.Len() > 0 {
		t.Errorf("a stop was logged: %s", log.String())
	}
}

func TestDeliverWithRandomJitter(t *testing.T) {
	c := Courier{Channels: map[string]Sender{"main": &scripted{errs: []error{errDown}}}, Log: slog.New(slog.DiscardHandler)}
	d, err := c.Deliver(t.Context(), Alert{}, Target{Channel: "main"}, 0)
	if err != nil || d.Action != RetryAt || time.Until(d.At) > time.Second {
		t.Errorf("got %v, %v, want another try within a second", d, err)
	}
}

// A channel that has a back-off of its own is tried again by that one.
func TestDeliverWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &scripted{errs: []error{errRefused, errDown, errDown}}
		c := courier(&log, map[string]Sender{"main": WithBackoff(s, Backoff{Retries: 2, First: 3 * time.Second, Longest: time.Minute, Stubborn: true})})
		var got []any
		for tries := range 3 {
			d, err := c.Deliver(t.Context(), Alert{}, Target{Channel: "main"}, tries)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, d.Reason); d.Action == RetryAt {
				got = append(got, time.Until(d.At))
			}
		}
		if d := cmp.Diff([]any{"invalid_auth", 3 * time.Second, "status 500", 6 * time.Second, "main: status 500 (3 tries)"}, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}
