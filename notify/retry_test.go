package notify

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRetry(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	temporary := Outcome{Reason: "status 500"}
	asked := func(d time.Duration) Outcome { return Outcome{RetryAfter: d, Reason: "status 429"} }
	tests := []struct {
		tries  int
		o      Outcome
		jitter float64
		want   Decision
	}{
		{0, Outcome{Class: Success}, 0, Decision{Action: Delivered}},
		{99, Outcome{Class: Success}, 0, Decision{Action: Delivered}},
		{0, Outcome{Class: Permanent, Reason: "invalid_auth"}, 0, Decision{Action: GiveUp, Reason: "invalid_auth"}},
		{0, temporary, 0, Decision{RetryAt, now.Add(500 * time.Millisecond), "status 500"}},
		{0, temporary, 0.5, Decision{RetryAt, now.Add(750 * time.Millisecond), "status 500"}},
		{1, temporary, 0, Decision{RetryAt, now.Add(time.Second), "status 500"}},
		{4, temporary, 0, Decision{RetryAt, now.Add(8 * time.Second), "status 500"}},
		{8, temporary, 0, Decision{RetryAt, now.Add(128 * time.Second), "status 500"}},
		{9, temporary, 0, Decision{RetryAt, now.Add(150 * time.Second), "status 500"}},
		{math.MaxInt, temporary, 0, Decision{RetryAt, now.Add(150 * time.Second), "status 500"}},
		{-1, temporary, 0, Decision{RetryAt, now.Add(500 * time.Millisecond), "status 500"}},
		{0, asked(30 * time.Second), 0, Decision{RetryAt, now.Add(30 * time.Second), "status 429"}},
		{20, asked(time.Second), 0, Decision{RetryAt, now.Add(150 * time.Second), "status 429"}},
		{0, asked(400 * 24 * time.Hour), 0, Decision{RetryAt, now.Add(time.Hour), "status 429"}},
		{0, asked(-time.Hour), 0, Decision{RetryAt, now.Add(500 * time.Millisecond), "status 429"}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d/%v/%v", tt.tries, tt.o, tt.jitter), func(t *testing.T) {
			if d := cmp.Diff(tt.want, Retry(tt.tries, tt.o, now, tt.jitter)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// Whatever comes, a temporary failure is tried again: not at once, and within the cap.
func TestRetryIsForEverAndNeverTight(t *testing.T) {
	now := time.Unix(0, 0)
	for tries := range 2000 {
		for _, jitter := range []float64{0, 0.5, 0.999999} {
			d := Retry(tries, Outcome{}, now, jitter)
			wait := d.At.Sub(now)
			if d.Action != RetryAt || wait < firstWait/2 || wait > maxWait {
				t.Fatalf("try %d, jitter %v: got %v after %s", tries, jitter, d.Action, wait)
			}
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	tests := []struct {
		err  error
		want Outcome
	}{
		{nil, Outcome{Class: Success}},
		{errors.New("broken"), Outcome{Class: Temporary, Reason: "broken"}},
		{&Error{Reason: "status 429", RetryAfter: time.Minute}, Outcome{Class: Temporary, RetryAfter: time.Minute, Reason: "status 429"}},
		{&Error{Reason: "invalid_auth", Permanent: true}, Outcome{Class: Permanent, Reason: "invalid_auth"}},
		{fmt.Errorf("send: %w", &Error{Reason: "is_archived", Permanent: true}), Outcome{Class: Permanent, Reason: "is_archived"}},
	}
	for _, tt := range tests {
		if d := cmp.Diff(tt.want, OutcomeOf(tt.err)); d != "" {
			t.Errorf("%v (-want +got):\n%s", tt.err, d)
		}
	}
}

// Digdag's: any error is tried again, ten times after the first, waits doubling from
// one second to half a minute.
func TestBackoff(t *testing.T) {
	b := Backoff{Retries: 10, First: time.Second, Longest: 30 * time.Second, MaxAsked: time.Minute, Stubborn: true}
	now := time.Unix(0, 0)
	var waits []time.Duration
	for tries := range 10 {
		o := Outcome{Class: []Class{Temporary, Permanent}[tries%2]}
		d := b.Retry(tries, o, now, 0.7)
		if d.Action != RetryAt {
			t.Fatalf("try %d: got %v", tries, d.Action)
		}
		waits = append(waits, d.At.Sub(now)/time.Second)
	}
	if d := cmp.Diff([]time.Duration{1, 2, 4, 8, 16, 30, 30, 30, 30, 30}, waits); d != "" {
		t.Errorf("seconds (-want +got):\n%s", d)
	}
	if d := cmp.Diff(Decision{Action: GiveUp, Reason: "status 500 (11 tries)"}, b.Retry(10, Outcome{Reason: "status 500"}, now, 0)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := b.Retry(0, Outcome{RetryAfter: time.Hour}, now, 0); d.At.Sub(now) != time.Minute {
		t.Errorf("asked for an hour: got %v, want a minute", d)
	}
	b.Retries = 0
	if d := cmp.Diff(Decision{Action: GiveUp, Reason: "x (1 try)"}, b.Retry(0, Outcome{Reason: "x"}, now, 0)); d != "" {
		t.Errorf("no retries (-want +got):\n%s", d)
	}
	b = Backoff{Retries: -1, First: time.Second, Longest: math.MaxInt64}
	for _, tries := range []int{0, 30, 33, 34, 62, 63, math.MaxInt} {
		if d := b.Retry(tries, Outcome{}, now, 0); d.At.Before(now) {
			t.Errorf("try %d: got a wait of %s", tries, d.At.Sub(now))
		}
	}
}
