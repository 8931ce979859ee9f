// Package agenttest drives agents from outside, as tests and benchmarks need
// it: real repositories, real processes that are killed and started again, and
// what their journals say afterwards.
//
// It may use only what a user has: the program's command line, its log, its
// journal dump and its HTTP interface. Its invariant: nothing that it starts
// outlives the test, and a test that waits in vain ends with the agent's log.
package agenttest

import (
	"testing"
	"time"
)

// Patience is how long a test waits for something that is bound to happen. A
// busy machine with the race detector is slow.
const Patience = 60 * time.Second

// Eventually waits until cond holds; else the test ends with what notes say.
func Eventually(t testing.TB, what string, cond func() bool, notes ...func() string) {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			for _, note := range notes {
				t.Log(note())
			}
			t.Fatalf("after %v still not: %s", Patience, what)
		}
	}
}

// DueIn returns the time of day and a time zone for a daily> schedule that
// falls due once, wait from now, and not again within the next hours.
func DueIn(wait time.Duration) (clock, zone string) {
	// The schedule's day is far from its end in this zone.
	zone = "Etc/GMT-6"
	if h := time.Now().UTC().Hour(); h >= 8 && h < 20 {
		zone = "Etc/GMT+6"
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		panic("agenttest: " + err.Error())
	}
	// A schedule has whole seconds.
	at := time.Now().Add(wait + time.Second - time.Nanosecond).Truncate(time.Second)
	return at.In(loc).Format("15:04:05"), zone
}

// Quick has the processes that a test starts end at once where they have the
// race detector, which else waits for a second.
const Quick = "GORACE=atexit_sleep_ms=0"
