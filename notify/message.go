package notify

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// LogLines is how many lines of a log a message shows at most.
const LogLines = 15

// Limits of a message, in characters.
const (
	maxTitle   = 300
	maxCause   = 120 // the cause's share of the title
	maxValue   = 250
	maxText    = 1500
	maxLog     = 2500
	maxLogLine = 500
	maxItems   = 20
	shortID    = 8
	shortState = 40
)

// Message is an alert as every channel shows it, each in its own markup. Its texts are
// valid UTF-8 without control characters and within limits, but not escaped for
// any markup.
type Message struct {
	Title string // the first line: state, what, when, where, why; fit for a phone's notification
	Tone  Tone
	Facts []Fact
	Text  string // the cause in full, where the title holds only a part of it
	Lists []List
	Log   []string
}

// Fact is one labelled value; Link, if any, is where it leads.
type Fact struct {
	Name  string
	Value string
	Link  string
}

// List is a titled list of lines; More counts those that were left out.
type List struct {
	Name  string
	Items []string
	More  int
}

// Render writes an alert as a message. It is a function of the alert alone.
func Render(a Alert) Message {
	m := Message{
		Title: title(a),
		Tone:  a.Kind.Tone(),
		Facts: facts(a),
		Log:   logTail(a.LogTail),
	}
	cause := strings.TrimSpace(clean(a.Message))
	if cause != "" && !strings.HasSuffix(m.Title, "  "+cause) {
		m.Text = capped(cause, maxText)
	}
	changes := make([]string, 0, len(a.Changes))
	for _, c := range a.Changes {
		changes = append(changes, c.describe())
	}
	m.Lists = appendList(m.Lists, "Problems", a.Diagnostics)
	m.Lists = appendList(m.Lists, "Changed since the last success", changes)
	return m
}

func title(a Alert) string {
	parts := []string{capped(oneLine(a.Kind.State()), shortState), capped(oneLine(a.Incident()), maxValue/2)}
	if !a.Session.IsZero() {
		parts = append(parts, "session "+stamp(a.Session))
	}
	parts = append(parts, capped(oneLine(a.Task), maxValue/2), titleTail(a))
	full := parts[:0]
	for _, p := range parts {
		if p != "" {
			full = append(full, p)
		}
	}
	return capped(strings.Join(full, "  "), maxTitle)
}

// titleTail is the part of the title that depends most on the kind.
func titleTail(a Alert) string {
	cause := capped(oneLine(a.Message), maxCause)
	switch a.Kind {
	case AttemptRecovered, SyncRecovered:
		return outage(a)
	case FinishedLate:
		if late := a.At.Sub(a.Deadline); !a.Deadline.IsZero() && late > 0 {
			return span(late) + " late"
		}
		return cause
	case Rejected:
		if cause == "" && len(a.Diagnostics) > 0 {
			cause = capped(oneLine(a.Diagnostics[0]), maxCause)
		}
		return strings.TrimSpace(a.Revision.short() + "  " + cause)
	case Deployed:
		return strings.TrimSpace(a.Revision.short() + "  " + capped(oneLine(a.Revision.Subject), maxCause))
	default:
		return cause
	}
}

func outage(a Alert) string {
	var parts []string
	if a.Count > 0 {
		parts = append(parts, plural(a.Count, "failure"))
	}
	if !a.Since.IsZero() && a.At.After(a.Since) {
		parts = append(parts, span(a.At.Sub(a.Since)))
	}
	if len(parts) == 0 {
		return ""
	}
	return "after " + strings.Join(parts, ", ")
}

func facts(a Alert) []Fact {
	fs := []Fact{
		{Name: "Attempt", Value: attempt(a), Link: a.Link},
		{Name: "Repository", Value: a.repository()},
		{Name: "Revision", Value: a.Revision.describe(), Link: a.Revision.Link},
		{Name: "Duration", Value: duration(a)},
		{Name: "Failing since", Value: since(a), Link: a.FailingSince.Link},
		{Name: "Deadline", Value: a.local(a.Deadline)},
		{Name: "Next run", Value: a.local(a.Next)},
	}
	if a.Kind.Closes() {
		fs[4].Name = "Was failing since"
	}
	if fs[0].Value == "" && a.Link != "" {
		fs[0] = Fact{Name: "Details", Value: clean(a.Link), Link: a.Link}
	}
	full := fs[:0]
	for _, f := range fs {
		if f.Value = capped(oneLine(f.Value), maxValue); f.Value != "" {
			full = append(full, f)
		}
	}
	return full
}

func attempt(a Alert) string {
	if a.Attempt == 0 {
		return ""
	}
	return strconv.FormatUint(a.Attempt, 10)
}

// repository is left out where the title names it already.
func (a Alert) repository() string {
	if a.Incident() == a.Repo {
		return ""
	}
	return a.Repo
}

func duration(a Alert) string {
	switch {
	case a.Duration <= 0:
		return ""
	case a.Usual <= 0:
		return span(a.Duration)
	default:
		return fmt.Sprintf("%s (usually %s)", span(a.Duration), span(a.Usual))
	}
}

// since is shown for incidents only: of a first failure it would repeat the alert's own time.
func since(a Alert) string {
	if a.Since.IsZero() || (a.Count <= 1 && !a.Kind.Closes() && a.FailingSince.ID == "") {
		return ""
	}
	parts := []string{a.local(a.Since)}
	if a.FailingSince.ID != "" {
		parts = append(parts, a.FailingSince.describe())
	}
	if a.Count > 1 {
		parts = append(parts, plural(a.Count, "failure"))
	}
	return strings.Join(parts, ", ")
}

// local writes an instant in the zone of the session, or else in its own.
func (a Alert) local(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case a.Session.IsZero():
		return stamp(t)
	default:
		return stamp(t.In(a.Session.Location()))
	}
}

func (c Commit) short() string {
	return capped(oneLine(c.ID[:min(len(c.ID), shortID)]), shortID)
}

func (c Commit) describe() string {
	if c.ID == "" {
		return ""
	}
	s := c.short()
	if author := oneLine(c.Author); author != "" {
		s += " by " + capped(author, maxValue/3)
	}
	if subject := oneLine(c.Subject); subject != "" {
		s += ": " + subject
	}
	return capped(s, maxValue)
}

func appendList(lists []List, name string, items []string) []List {
	l := List{Name: name, More: max(0, len(items)-maxItems)}
	for _, item := range items[:min(len(items), maxItems)] {
		if item = oneLine(item); item != "" {
			l.Items = append(l.Items, capped(item, maxValue))
		}
	}
	if len(l.Items) == 0 {
		return lists
	}
	return append(lists, l)
}

// String writes the message as plain text, one fact a line.
func (m Message) String() string {
	var b strings.Builder
	b.WriteString(m.Title + "\n")
	for _, f := range m.Facts {
		fmt.Fprintf(&b, "  %s: %s\n", f.Name, f.Value)
		if f.Link != "" && clean(f.Link) != f.Value {
			fmt.Fprintf(&b, "    %s\n", oneLine(f.Link))
		}
	}
	if m.Text != "" {
		b.WriteString("  " + strings.ReplaceAll(m.Text, "\n", "\n  ") + "\n")
	}
	for _, l := range m.Lists {
		fmt.Fprintf(&b, "  %s:\n", l.Name)
		for _, item := range l.Items {
			fmt.Fprintf(&b, "    %s\n", item)
		}
		if l.More > 0 {
			fmt.Fprintf(&b, "    and %d more\n", l.More)
		}
	}
	for _, line := range m.Log {
		b.WriteString("  | " + line + "\n")
	}
	return b.String()
}
