package slack

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/notify"
)

func TestBucket(t *testing.T) {
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	type take struct{ at, wait time.Duration }
	s := time.Second
	tests := []struct {
		name string
		hold time.Duration
		want []take
	}{
		{"a burst, then one a second", 0, []take{{0, 0}, {0, 0}, {0, 0}, {0, s}, {0, 2 * s}}},
		{"it fills again", 0, []take{{0, 0}, {0, 0}, {0, 0}, {10 * s, 0}, {10 * s, 0}, {10 * s, 0}, {10 * s, s}}},
		{"one a second needs no burst", 0, []take{{0, 0}, {s, 0}, {2 * s, 0}, {3 * s, 0}, {4 * s, 0}}},
		{"silence", 5 * s, []take{{0, 5 * s}, {2 * s, 3 * s}, {6 * s, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bucket{every: time.Second, burst: 3}
			if tt.hold > 0 {
				b.hold(start, tt.hold)
				b.hold(start, time.Second) // a shorter silence does not end a longer one
			}
			for i, w := range tt.want {
				if got, ok := b.take(start.Add(w.at), time.Minute); got != w.wait || !ok {
					t.Errorf("turn %d: got %s, %v, want %s", i, got, ok, w.wait)
				}
			}
		})
	}
}

// trip answers requests in place of a network; the fake clock does not run while a
// goroutine waits for a real one.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(code int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

func timed(t *testing.T, f trip) *Sender {
	t.Helper()
	s, err := New(Options{Webhook: notify.Literal("https://hooks.example.com" + hookPath), Transport: f})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOneMessageASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var got []time.Duration
		s := timed(t, func(*http.Request) (*http.Response, error) {
			got = append(got, time.Since(start))
			return reply(200, "ok"), nil
		})
		for range 6 {
			send(t, s, failure1())
		}
		want := []time.Duration{0, 0, 0, time.Second, 2 * time.Second, 3 * time.Second}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

// A 429 silences the channel for everyone: the next alert is turned back with the time
// that is left, without a request; afterwards all goes on.
func TestRateLimitSilencesTheChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		s := timed(t, func(*http.Request) (*http.Response, error) {
			if requests++; requests == 1 {
				return reply(429, "", "Retry-After", "60"), nil
			}
			return reply(200, "ok"), nil
		})
		_, err := s.Send(t.Context(), failure1())
		if got := notify.OutcomeOf(err).RetryAfter; got != time.Minute {
			t.Errorf("got %s, want a minute", got)
		}
		time.Sleep(20 * time.Second)
		_, err = s.Send(t.Context(), failure1())
		want := notify.Outcome{RetryAfter: 40 * time.Second, Reason: "slack: waiting 40s for the rate limit"}
		if d := cmp.Diff(want, notify.OutcomeOf(err)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		time.Sleep(35 * time.Second) // 5 s are left: worth waiting for
		at := time.Now()
		send(t, s, failure1())
		if waited := time.Since(at); waited != 5*time.Second || requests != 2 {
			t.Errorf("got %d requests after %s, want 2 after 5s", requests, waited)
		}
	})
}

func TestEveryRequestHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := timed(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		_, err := s.Send(t.Context(), failure1())
		want := notify.Outcome{Reason: "slack: no answer in time"}
		if d := cmp.Diff(want, notify.OutcomeOf(err)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if took := time.Since(start); took != defaultTimeout {
			t.Errorf("got an answer after %s, want %s", took, defaultTimeout)
		}
	})
}

func TestCancelledWhileWaitingForTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timed(t, func(*http.Request) (*http.Response, error) { return reply(200, "ok"), nil })
		for range burst {
			send(t, s, failure1())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := s.Send(ctx, failure1())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 300*time.Millisecond {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	})
}

// From an outage to delivery, as the agent does it: fail, wait for the decision's
// time, try again. The alert arrives once, with waits that grow.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		arrived := 0
		answers := []func() (*http.Response, error){
			func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
			func() (*http.Response, error) { return reply(500, ""), nil },
			func() (*http.Response, error) { return reply(429, "", "Retry-After", "45"), nil },
			func() (*http.Response, error) { return reply(503, ""), nil },
			func() (*http.Response, error) { arrived++; return reply(200, "ok"), nil },
		}
		start := time.Now()
		var at []time.Duration
		s := timed(t, func(*http.Request) (*http.Response, error) {
			at = append(at, time.Since(start))
			answer := answers[0]
			answers = answers[1:]
			return answer()
		})
		c := notify.Courier{Channels: map[string]notify.Sender{"x": s}, Log: newLog().logger(), Jitter: func() float64 { return 0 }}
		var d notify.Delivery
		for tries := 0; d.Action != notify.Delivered; tries++ {
			time.Sleep(time.Until(d.At))
			var err error
			if d, err = c.Deliver(t.Context(), failure1(), notify.Target{Channel: "x"}, tries); err != nil {
				t.Fatal(err)
			}
		}
		want := []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 46500 * time.Millisecond, 50500 * time.Millisecond}
		if d := cmp.Diff(want, at); d != "" {
			t.Errorf("times of the tries (-want +got):\n%s", d)
		}
		if arrived != 1 {
			t.Errorf("got %d deliveries, want 1", arrived)
		}
	})
}
