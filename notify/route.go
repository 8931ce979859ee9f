package notify

import (
	"path"
	"slices"
)

// Match selects alerts; an empty field matches everything.
type Match struct {
	Events   []Kind
	Except   []Kind
	Project  string // pattern of path.Match: * stops at a slash
	Workflow string
}

// Route sends the alerts that match to channels, by their configured names.
type Route struct {
	Match    Match
	To       []string
	Fallback []string // tried in this order when a channel refuses for good
	Continue bool     // look at the routes behind this one too
}

// Target is one channel that an alert goes to. Each target is delivered, retried
// and given up for itself.
type Target struct {
	Channel  string
	Fallback []string
}

// Reason says why an alert goes where it goes.
type Reason string

// The reasons of Decide.
const (
	Routed  Reason = "routed"
	NoRoute Reason = "no route matches"
	Muted   Reason = "the matching route names no channel"
)

// Everything is the route in use where none is configured: all events but
// deployments go to one channel.
func Everything(channel string, fallback ...string) Route {
	return Route{Match: Match{Except: []Kind{Deployed}}, To: []string{channel}, Fallback: fallback}
}

// Decide says where an alert goes: the first route that matches, and further ones
// while they say so. A channel is named once however many routes lead to it.
func Decide(routes []Route, a Alert) ([]Target, Reason) {
	var targets []Target
	reason := NoRoute
	for _, r := range routes {
		if !r.Match.covers(a) {
			continue
		}
		reason = Muted
		for _, name := range r.To {
			known := slices.ContainsFunc(targets, func(t Target) bool { return t.Channel == name })
			if !known {
				targets = append(targets, Target{Channel: name, Fallback: r.Fallback})
			}
		}
		if !r.Continue {
			break
		}
	}
	if len(targets) > 0 {
		reason = Routed
	}
	return targets, reason
}

func (m Match) covers(a Alert) bool {
	if len(m.Events) > 0 && !slices.Contains(m.Events, a.Kind) {
		return false
	}
	return !slices.Contains(m.Except, a.Kind) && glob(m.Project, a.Project) && glob(m.Workflow, a.Workflow)
}

// glob treats a malformed pattern as one that matches nothing.
func glob(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
