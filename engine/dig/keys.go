package dig

import "strings"

// level is where a key may stand.
type level uint8

// The levels. A key may stand at several.
const (
	atTop level = 1 << iota
	onGroup
	onOperator
)

// key is one that the language gives a meaning to. All others are parameters of a task, or mistakes.
type key struct {
	name  string
	at    level
	value string // the definition of its values in the schema; empty for any
	says  string // one sentence for who writes it
}

// keys is the table of such keys. [Workflow.Config] has those of the top level in this order. `timezone`, `schedule` and
// `sla` stand on groups only so that a whole workflow can be embedded; `_secrets` is without effect there
// (language.md 2.6).
var keys = []key{
	{timezoneKey, atTop | onGroup, "text", "The time zone of the schedule and of all times: a name such as Asia/Tokyo. UTC without it."},
	{"_export", atTop | onGroup | onOperator, "mapping", "Parameters of this task and of all below it."},
	{"schedule", atTop | onGroup, "schedule", "When the workflow runs by itself."},
	{"sla", atTop | onGroup, "sla", "By when the workflow must have ended, and what happens if it has not."},
	{"_error", atTop | onGroup | onOperator, "body", "What runs when this fails for good."},
	{"_check", atTop | onGroup | onOperator, "body", "What runs when the task has succeeded; ignored on groups."},
	{"_retry", atTop | onGroup | onOperator, "retry", "How often this is run again when it fails, and after which waits."},
	{"_parallel", atTop | onGroup | onOperator, "parallel", "Whether the tasks of this group run side by side, and how many."},
	{"_timeout", atTop | onGroup | onOperator, "duration", "How long one execution of a task may take, such as 10m."},
	{"_labels", atTop | onGroup | onOperator, "labels", "Names with texts, by which alerts and lists find this."},
	{"_background", onGroup | onOperator, "flag", "Whether this starts with its group instead of waiting for the task before it."},
	{"_after", onGroup | onOperator, "names", "The earlier tasks of this parallel group that must have succeeded."},
	{"_secrets", onGroup | onOperator, "mapping", "The secrets that the task may use."},
	{"_type", onOperator, "text", "The operator, written without its >."},
	{"_command", onOperator, "", "What the operator of _type works on."},
	{"_do", onOperator, "body", "The tasks that a loop repeats, or that run if the condition holds."},
	{"_else_do", onOperator, "body", "The tasks that run if the condition does not hold."},
	{"_env", onOperator, "mapping", "Environment variables of the task's process."},
}

// disableKey may stand on any task, and makes all its other keys mean nothing.
const disableKey = "_disable"

// keysAt lists the names of the keys that may stand at a level.
func keysAt(at level) []string {
	var names []string
	for _, k := range keys {
		if k.at&at != 0 {
			names = append(names, k.name)
		}
	}
	return names
}

// lookupKey finds a key of the language.
func lookupKey(name string) (key, bool) {
	for _, k := range keys {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}

// Rule is a class of diagnostics, under a name that does not change.
type Rule struct {
	ID      string
	Summary string
}

// Rules lists all of them: those of what is no key of the language, then one for each key.
func Rules() []Rule {
	list := []Rule{
		{"file", "The file as a whole: that it can be read, its syntax, its name and its size."},
		{"include", "!include: the file that it names, and its place."},
		{"operator", "The operator of a task."},
		{"task", "The name of a task, and that it is a mapping."},
		{"key", "A key that nothing reads, or a parameter that means something else, too."},
	}
	for _, k := range keys {
		if id := ruleOf(k.name); id != "operator" {
			list = append(list, Rule{id, k.says})
		}
	}
	return append(list, Rule{ruleOf(disableKey), "Whether the task is left out."})
}

// Rule is the ID of the diagnostic's rule. It follows from what the diagnostic is about.
func (d Diagnostic) Rule() string { return ruleOf(d.Key) }

func ruleOf(name string) string {
	switch {
	case name == "":
		return "file"
	case name == includeTag:
		return "include"
	case name == "_type", name == "_command", strings.HasSuffix(name, ">"):
		return "operator"
	case strings.HasPrefix(name, "+"):
		return "task"
	}
	if _, ok := lookupKey(name); ok || name == disableKey {
		return strings.TrimPrefix(name, "_")
	}
	return "key"
}
