package agenttest

import (
	"slices"
	"sync"
	"time"
)

// Load is a stream of calls that arrive at fixed times, whatever has become of
// those before: one that waits for its turn is late, and that counts.
type Load struct {
	Rate float64 // calls a second
	Span time.Duration
}

// Measured are the durations of calls, from when each was due to when it was
// answered, in ascending order, and the errors of those that failed.
type Measured struct {
	Took []time.Duration
	Errs []error
}

// Run makes the calls, each with its number, and returns when all are answered.
func (l Load) Run(call func(i int) error) Measured {
	var m Measured
	var mu sync.Mutex
	var calls sync.WaitGroup
	begin := time.Now()
	for i := range int(l.Rate * l.Span.Seconds()) {
		due := begin.Add(time.Duration(float64(i) / l.Rate * float64(time.Second)))
		if early := time.Until(due); early > 0 {
			<-time.After(early)
		}
		calls.Go(func() {
			err := call(i)
			took := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			if m.Took = append(m.Took, took); err != nil {
				m.Errs = append(m.Errs, err)
			}
		})
	}
	calls.Wait()
	m.Sort()
	return m
}

// Sort brings the durations into order.
func (m Measured) Sort() { slices.Sort(m.Took) }

// Share returns the duration that the given share of the calls did not exceed:
// 0.5 for the median, 1 for the longest. It is 0 without calls.
func (m Measured) Share(share float64) time.Duration {
	if len(m.Took) == 0 {
		return 0
	}
	return m.Took[min(int(share*float64(len(m.Took))), len(m.Took)-1)]
}
