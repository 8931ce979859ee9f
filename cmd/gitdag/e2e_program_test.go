package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// jobProgram starts a job once, known by the task's key, and polls it three times.
// It tells the state that each of its runs finds, and when the job ends.
const jobProgram = `#!/bin/sh
request=$(cat)
field() { printf '%s' "$request" | sed "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/"; }
key=$(field key | tr / _)
echo "$key $(printf '%s' "$request" | sed 's/.*"state":{\([^}]*\)}.*/\1/')" >>OUT/runs
case $request in
*'"state":{}'*)
  sleep 0.05
  mkdir OUT/jobs/$key 2>/dev/null && echo "$key" >>OUT/started
  echo '{"poll": {"interval": 0.02, "state": {"left": 3}}}' >&3 ;;
*'"state":{"left":0}'*)
  echo "$key" >>OUT/ended
  echo '{"store_params": {"job": "'$key'"}}' >&3 ;;
*)
  sleep 0.02
  echo '{"poll": {"interval": 0.02, "state": {"left": '$(($(field left) - 1))'}}}' >&3 ;;
esac
`

// Whenever the agent is killed, a program goes on with the state that it had
// handed over and never with an older one, and the key is the same in all of its
// runs, so that its job is started once.
func TestProgramsOfAKilledAgent(t *testing.T) {
	const kills = 25
	bin, repo, out := program(t), agenttest.NewRepo(t, "flows"), t.TempDir()
	if err := os.Mkdir(filepath.Join(out, "jobs"), 0o755); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	random := rand.New(rand.NewPCG(6, 25))
	args := []string{"agent", "--repo", repo.Path(), "--data", data, "--poll", "1s", "--listen", "127.0.0.1:0"}
	audit := func() *agenttest.Leases {
		t.Helper()
		l, err := agenttest.Audit(agenttest.Events(t, bin, data))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	rounds := 0
	for hits := 0; hits < kills; {
		l := audit()
		if l.Started == rounds && len(l.Settled) == rounds {
			rounds++
			repo.Push("round", map[string]string{
				"operators/job":                strings.ReplaceAll(jobProgram, "OUT", out),
				fmt.Sprintf("r%d.dig", rounds): "_parallel: true\n+a: {job>: x}\n+b: {job>: y}\n+c: {+d: {job>: z}, +e: {sh>: 'echo ${job} >>" + out + "/stored'}}\n",
			})
		}
		p := agenttest.Launch(t, bin, nil, args...)
		if l.Started < rounds {
			begin(t, p, fmt.Sprintf("r%d", rounds))
		} else {
			p.Address()
		}
		select {
		case <-time.NewTimer(time.Duration(random.Int64N(int64(150 * time.Millisecond)))).C:
		case <-p.Ended():
			t.Fatalf("the agent ended by itself:\n%s", p.Log())
		}
		p.Kill()
		if l = audit(); len(l.Settled) < rounds {
			hits++
		}
	}
	p := agenttest.Launch(t, bin, nil, args...)
	agenttest.Eventually(t, "every attempt is over", func() bool { return len(audit().Settled) == rounds }, p.Log)
	p.Stop()
	for attempt, success := range audit().Settled {
		if !success {
			t.Errorf("attempt %d has failed", attempt)
		}
	}
	lines := func(name string) []string {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	runs, last := lines("runs"), map[string]int{}
	for _, run := range runs {
		key, state, _ := strings.Cut(run, " ")
		step := slices.Index([]string{"", `"left":3`, `"left":2`, `"left":1`, `"left":0`}, state)
		if step < last[key] || step > last[key]+1 {
			t.Errorf("%s: got state %d after state %d", key, step, last[key])
		}
		last[key] = step
	}
	if got, want := len(lines("started")), 3*rounds; got != want {
		t.Errorf("got %d jobs, want %d", got, want)
	}
	ended := map[string]bool{}
	for _, key := range lines("ended") {
		ended[key] = true
	}
	if len(ended) != 3*rounds {
		t.Errorf("got the ends of %d jobs, want %d", len(ended), 3*rounds)
	}
	for _, key := range lines("stored") {
		if !ended[key] {
			t.Errorf("got %q stored, which is no job", key)
		}
	}
	t.Logf("%d kills within %d attempts; %d runs for %d jobs", kills, rounds, len(runs), 3*rounds)
	if len(runs) <= 5*3*rounds {
		t.Error("no kill hit a program: the test proves nothing")
	}
}
