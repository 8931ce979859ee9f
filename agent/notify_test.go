package agent

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"gitdag/bench/agenttest"
	"gitdag/engine"
	"gitdag/engine/flow"
)

const notifying = `
+load:
  sh>: echo 12
+tell:
  notify>: "rows are missing\nsince ${session_date}"
+after:
  sh>: echo after
`

// A message of `notify>` goes where alerts go. The task succeeds when it is kept:
// it then outlives the agent, and is tried until it is taken (O27).
func TestNotifyOutlivesTheAgent(t *testing.T) {
	slack := newFakeSlack(t)
	mend := slack.always(status(http.StatusServiceUnavailable))
	r := newRig(t)
	r.onWebhook(slack)
	r.start()
	r.push("tell", map[string]string{"w.dig": notifying})
	if !r.run("w") {
		t.Fatalf("the attempt has failed while nobody can be reached\n%s", r.log)
	}
	r.eventually("a try has failed", func() bool { return slack.asked() > 0 })
	if got := r.pending(); got != 1 {
		t.Errorf("got %d pending messages, want 1", got)
	}
	r.stop()
	mend()
	r.start()
	r.eventually("the message is there", func() bool { return len(slack.taken()) == 1 && r.pending() == 0 })
	var all strings.Builder
	flatten(t, slack.taken()[0], &all)
	for _, want := range []string{"NOTICE", "flows/w", "+w+tell", "rows are missing", "since 2023-11-14"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %q in the message:\n%s", want, all.String())
		}
	}
}

// A channel that refuses for good fails no task.
func TestNotifyThatIsRefused(t *testing.T) {
	slack := newFakeSlack(t)
	slack.always(refuse("channel_not_found"))
	r := newRig(t)
	r.onBot(slack)
	r.start()
	r.push("tell", map[string]string{"w.dig": notifying})
	if !r.run("w") {
		t.Errorf("the attempt has failed\n%s", r.log)
	}
	r.log.Await(t, `alert given up.*NOTICE  flows/w.*rows are missing.*channel_not_found`)
	if got := r.pending(); got != 0 {
		t.Errorf("got %d pending messages, want none", got)
	}
}

// With no channel configured a message is a line of the log, and that is all.
func TestNotifyWithoutAChannel(t *testing.T) {
	log := agenttest.NewLog()
	a, err := newAlerter(&Config{}, nil, nil, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	d := &flow.Deliver{ID: 7, Alert: flow.Alert{Kind: flow.AlertMessage, Project: "p", Workflow: "w", Task: "+w+tell", Message: "all is well"}}
	if got := a.deliver(t.Context(), d); got != (engine.Delivery{}) {
		t.Errorf("got %+v, want it to be done with", got)
	}
	log.Await(t, `NOTICE  p/w.*all is well`)
}
