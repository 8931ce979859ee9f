package notify

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecide(t *testing.T) {
	etl := Route{Match: Match{Events: []Kind{AttemptFailed, SLAMissed}, Project: "etl/*"}, To: []string{"oncall"}, Fallback: []string{"post"}}
	rest := Route{To: []string{"team"}}
	also := etl
	also.Continue = true
	tests := []struct {
		name   string
		routes []Route
		alert  Alert
		want   []Target
		reason Reason
	}{
		{
			"one channel for everything",
			[]Route{Everything("team", "log")},
			Alert{Kind: SyncFailed},
			[]Target{{"team", []string{"log"}}},
			Routed,
		},
		{"but deployments", []Route{Everything("team")}, Alert{Kind: Deployed}, nil, NoRoute},
		{"nothing configured", nil, Alert{Kind: AttemptFailed}, nil, NoRoute},
		{
			"the first match wins",
			[]Route{etl, rest},
			Alert{Kind: SLAMissed, Project: "etl/daily"},
			[]Target{{"oncall", []string{"post"}}},
			Routed,
		},
		{"another event", []Route{etl, rest}, Alert{Kind: Deployed, Project: "etl/daily"}, []Target{{"team", nil}}, Routed},
		{"another project", []Route{etl, rest}, Alert{Kind: AttemptFailed, Project: "web"}, []Target{{"team", nil}}, Routed},
		{"a star stops at a slash", []Route{etl}, Alert{Kind: AttemptFailed, Project: "etl/a/b"}, nil, NoRoute},
		{
			"continue",
			[]Route{also, rest},
			Alert{Kind: AttemptFailed, Project: "etl/a"},
			[]Target{{"oncall", []string{"post"}}, {"team", nil}},
			Routed,
		},
		{
			"a channel is told once",
			[]Route{{To: []string{"a", "a"}, Continue: true}, {To: []string{"b", "a"}}},
			Alert{Kind: SLAMissed},
			[]Target{{"a", nil}, {"b", nil}},
			Routed,
		},
		{"muted on purpose", []Route{{Match: Match{Workflow: "try_*"}}, rest}, Alert{Kind: AttemptFailed, Workflow: "try_it"}, nil, Muted},
		{"a malformed pattern matches nothing", []Route{{Match: Match{Project: "[a"}, To: []string{"x"}}}, Alert{Project: "[a"}, nil, NoRoute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, reason := Decide(tt.routes, tt.alert)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("targets (-want +got):\n%s", d)
			}
			if reason != tt.reason {
				t.Errorf("reason: got %q, want %q", reason, tt.reason)
			}
		})
	}
}
