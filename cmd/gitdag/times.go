package main

import (
	"strconv"
	"time"
)

// sessionOption turns the option into what the agent is asked: a time, and what
// it is to be cut down to.
func sessionOption(text string, now time.Time) (session, mode string, err error) {
	moment := now.UTC().Format("2006-01-02T15:04:05.000000000Z")
	switch text {
	case "":
		return "", "", usagef("--session is missing: give hourly, daily, now or a time")
	case "hourly":
		return moment, "hour", nil
	case "daily":
		return moment, "day", nil
	case "now":
		return moment, "", nil
	}
	if session, ok := localOption(text); ok {
		return session, "", nil
	}
	return "", "", usagef("--session must be hourly, daily, now, \"yyyy-MM-dd\" or \"yyyy-MM-dd HH:mm:ss\", not %q", text)
}

// localOption reads a time of the workflow's clock and writes it as the agent
// is asked for it: without a zone and, as Digdag does, without seconds that are
// zero.
func localOption(text string) (string, bool) {
	for _, layout := range []string{time.DateOnly, time.DateTime} {
		t, err := time.Parse(layout, text)
		if err != nil || len(text) != len(layout) {
			continue
		}
		if t.Second() == 0 {
			return t.Format("2006-01-02T15:04"), true
		}
		return t.Format("2006-01-02T15:04:05"), true
	}
	return "", false
}

// instantOption reads a moment: with an offset, or as a Unix time in seconds.
func instantOption(option, text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	for _, layout := range []string{clockFormat, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--%s must be \"yyyy-MM-dd HH:mm:ss +hhmm\" or a Unix time in seconds, not %q", option, text)
}
