package main

import (
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// standIns are what scripts and tables write in place of what differs from run
// to run.
var standIns = map[string]string{
	"…":         `[^\n]*`,
	"<time>":    `20\d\d-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}`,
	"<instant>": `20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`,
	"<now>":     `20\d\d-\d\d-\d\dT\d\d%3A\d\d%3A\d\d\.\d{9}Z`, // in a query
	"<uuid>":    `[0-9a-f]{8}-[0-9a-f-]{27}`,
	"<log>":     `\+w\+[a-z]+@[^/%?]+\.log\.gz`,
}

// pattern matches a whole text in which stand-ins may stand.
func pattern(text string) *regexp.Regexp {
	expression := regexp.QuoteMeta(text)
	for name, stands := range standIns {
		expression = strings.ReplaceAll(expression, name, stands)
	}
	return regexp.MustCompile(`\A` + expression + `\z`)
}

// like is a command of scripts: it compares stdout, stderr or a file with a file
// in which stand-ins may stand.
func like(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: like FILE1 FILE2")
	}
	got, want := ts.ReadFile(args[0]), ts.ReadFile(args[1])
	if !pattern(want).MatchString(got) {
		ts.Fatalf("%s is\n%s\nwhich is not like\n%s", args[0], got, want)
	}
}
