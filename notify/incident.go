package notify

import "time"

// Incident is what has to be remembered about one thing that fails and recovers, a
// workflow or a repository. It is a value: the caller stores what Fail and Succeed
// return. The zero value is healthy.
type Incident struct {
	Since   time.Time // first failure since the last success; zero when healthy
	Commit  string    // revision of that failure
	Count   int       // failures since then
	Alerted bool      // someone was told
	Thread  Receipt   // the first message about it
}

// Policy is how patient and how talkative an incident is.
type Policy struct {
	After  time.Duration // tell nobody before it has lasted so long; 0: at once
	Repeat bool          // tell of every further failure too
}

// Verdict is what an observation means for the people who are told.
type Verdict int

// The verdicts.
const (
	Quiet Verdict = iota
	Open          // the first alert of the incident
	Again         // a further failure
	Close         // the recovery
)

// Fail records a failure at now and says whether it is told.
func (i Incident) Fail(now time.Time, commit string, p Policy) (Incident, Verdict) {
	if i.Count == 0 {
		i.Since, i.Commit = now, commit
	}
	i.Count++
	switch {
	case i.Alerted && p.Repeat:
		return i, Again
	case i.Alerted || now.Sub(i.Since) < p.After:
		return i, Quiet
	default:
		i.Alerted = true
		return i, Open
	}
}

// Succeed records a success. The recovery is told if and only if the failure was;
// its alert takes Since, Count and Thread from i, since the result is healthy again.
func (i Incident) Succeed() (Incident, Verdict) {
	if i.Alerted {
		return Incident{}, Close
	}
	return Incident{}, Quiet
}
