package api

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gitdag/engine/schedule"
)

// id reads an id from the path.
func (r *request) id() (uint64, error) { return parseID("id", r.path["id"]) }

func parseID(name, text string) (uint64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, badf("%s must be a number: %q", name, text)
	}
	if n < 0 {
		return 0, nil // no such thing
	}
	return uint64(n), nil
}

// take reads the parameters of the query that an operation takes.
func (r *request) take(names []string) error {
	all, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badf("the query cannot be read: %v", err)
	}
	r.values = url.Values{}
	for _, name := range names {
		for _, value := range all[name] {
			if !utf8.ValidString(value) {
				return badf("%s is not UTF-8: %q", name, value)
			}
			r.values.Add(name, value)
		}
	}
	for name, text := range r.path {
		if !utf8.ValidString(text) {
			return badf("%s in the path is not UTF-8: %q", name, text)
		}
	}
	return nil
}

// query reads a parameter of the query.
func (r *request) query(name string) string { return r.values.Get(name) }

// has tells whether the query has a parameter, be it empty.
func (r *request) has(name string) bool { return r.values.Has(name) }

// required reads a parameter that must be there.
func (r *request) required(name string) (string, error) {
	text := r.query(name)
	if text == "" {
		return "", badf("%s= is required", name)
	}
	return text, nil
}

// number reads a number of 0 or more from the query.
func (r *request) number(name string, absent uint64) (uint64, error) {
	if !r.has(name) {
		return absent, nil
	}
	text := r.query(name)
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, badf("%s must be a number, 0 or more: %q", name, text)
	}
	return n, nil
}

// flag reads a boolean from the query (Q4).
func (r *request) flag(name string) bool {
	switch strings.ToLower(r.query(name)) {
	case "true", "1", "yes":
		return true
	}
	return false
}

const (
	pageSize = 100 // of a page that is asked for without a size
	maxCount = 1_000_000
)

// page reads where a page begins and how long it is. most bounds a size that is
// asked for, and refuses one beyond it; 0 for none.
func (r *request) page(sizes []string, most int) (after uint64, size int, err error) {
	if after, err = r.number("last_id", 0); err != nil {
		return 0, 0, err
	}
	n := uint64(pageSize)
	for _, name := range sizes {
		if n, err = r.number(name, n); err != nil {
			return 0, 0, err
		}
		if most > 0 && r.has(name) && n > uint64(most) {
			return 0, 0, badf("%s must be at most %d: %d", name, most, n)
		}
	}
	return after, int(min(n, maxCount)), nil
}

var (
	localTime = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?([.,]\d{1,9})?$`)
	offset    = regexp.MustCompile(`(Z|[+-]\d\d:\d\d(:\d\d)?)$`)
)

// parseInstant reads an ISO date and time with an offset, in whole seconds.
func parseInstant(text string) (time.Time, bool) {
	at := offset.FindStringIndex(text)
	if at == nil {
		return time.Time{}, false
	}
	m := localTime.FindStringSubmatch(text[:at[0]])
	if m == nil {
		return time.Time{}, false
	}
	if m[3] == "" {
		m[3] = ":00"
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z07:00:00"} {
		if t, err := time.Parse(layout, m[1]+"T"+m[2]+m[3]+text[at[0]:]); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// parseLocalOrInstant reads a time, one without an offset as that of the zone.
func parseLocalOrInstant(text string, zone *time.Location) (time.Time, bool) {
	if t, ok := parseInstant(text); ok {
		return t, true
	}
	m := localTime.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, false
	}
	if m[3] == "" {
		m[3] = ":00"
	}
	t, err := schedule.ParseLocal(m[1]+" "+m[2]+m[3], zone)
	return t, err == nil
}
