package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each step is f (a failure) or s (a success), one minute after the other.
func TestIncident(t *testing.T) {
	tests := []struct {
		name   string
		policy Policy
		steps  string
		want   string // one letter a step: - quiet, O open, A again, C close
	}{
		{"every failure of an attempt", Policy{Repeat: true}, "sfffss", "-OAAC-"},
		{"a second incident", Policy{Repeat: true}, "fsfs", "OCOC"},
		{"a remote that is away for long is told once", Policy{After: 3 * time.Minute}, "ffffffss", "---O--C-"},
		{"a remote that comes back soon is never told", Policy{After: 3 * time.Minute}, "fffsfffs", "--------"},
		{"once without repeats", Policy{}, "fffs", "O--C"},
		{"patient, then talkative", Policy{After: time.Minute, Repeat: true}, "fffs", "-OAC"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
			var i Incident
			var got strings.Builder
			for _, step := range tt.steps {
				var v Verdict
				if step == 'f' {
					i, v = i.Fail(now, "c0ffee", tt.policy)
				} else {
					i, v = i.Succeed()
				}
				got.WriteByte("-OAC"[v])
				now = now.Add(time.Minute)
			}
			if got.String() != tt.want {
				t.Errorf("%s: got %s, want %s", tt.steps, got.String(), tt.want)
			}
		})
	}
}

func TestIncidentRemembersTheFirstFailure(t *testing.T) {
	first := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	i, _ := Incident{}.Fail(first, "aaa", Policy{})
	i.Thread = Receipt{Via: "team", Channel: "C1", TS: "1.2"}
	i, _ = i.Fail(first.Add(time.Hour), "bbb", Policy{})
	want := Incident{Since: first, Commit: "aaa", Count: 2, Alerted: true, Thread: Receipt{Via: "team", Channel: "C1", TS: "1.2"}}
	if d := cmp.Diff(want, i); d != "" {
		t.Errorf("after two failures (-want +got):\n%s", d)
	}
	healthy, _ := i.Succeed()
	if d := cmp.Diff(Incident{}, healthy); d != "" {
		t.Errorf("after the success (-want +got):\n%s", d)
	}
}

// A clock that jumps back must not make an incident older than it is.
func TestIncidentClockJumpsBack(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	i, _ := Incident{}.Fail(now, "", Policy{After: time.Minute})
	if _, v := i.Fail(now.Add(-time.Hour), "", Policy{After: time.Minute}); v != Quiet {
		t.Errorf("got verdict %v, want %v", v, Quiet)
	}
}
