package api

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gitdag/engine/params"
	"gitdag/engine/schedule"
)

// maxBody bounds the body of a request, packed and unpacked.
const maxBody = 1 << 20

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

// query reads a parameter of the query; a broken query has none.
func (r *request) query(name string) string { return r.URL.Query().Get(name) }

// number reads a number of 0 or more from the query.
func (r *request) number(name string, absent uint64) (uint64, error) {
	if !r.URL.Query().Has(name) {
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
	pageSize = 100 // of a page, and the most that page_size may be
	maxCount = 1_000_000
)

// page reads where a page begins and how long it is. most bounds a size that is
// refused beyond it; 0 for none.
func (r *request) page(sizes []string, most uint64) (after uint64, size int, err error) {
	if after, err = r.number("last_id", 0); err != nil {
		return 0, 0, err
	}
	n := uint64(pageSize)
	for _, name := range sizes {
		if n, err = r.number(name, n); err != nil {
			return 0, 0, err
		}
		if most > 0 && n > most {
			return 0, 0, badf("%s must be at most %d: %d", name, most, n)
		}
	}
	return after, int(min(n, maxCount)), nil
}

// body reads a JSON object. One that may be missing is nil then.
func (r *request) body(optional bool) (*params.Map, error) {
	text, err := r.read()
	if err != nil {
		return nil, err
	}
	given := r.Header.Get("Content-Type")
	if optional && len(text) == 0 && given == "" {
		return nil, nil
	}
	if kind, _, err := mime.ParseMediaType(given); err != nil || kind != jsonType {
		return nil, badf("the body must be application/json, not %q", given)
	}
	if len(text) == 0 {
		if optional {
			return nil, nil
		}
		return nil, badf("the body is empty: a JSON object is expected")
	}
	v, err := params.Parse(text)
	if err != nil {
		return nil, badf("%v", err)
	}
	m, ok := v.(*params.Map)
	if !ok && !optional {
		return nil, badf("the body must be a JSON object")
	}
	return m, nil
}

// read reads the body, unpacked.
func (r *request) read() ([]byte, error) {
	raw := http.MaxBytesReader(nil, r.Body, maxBody)
	var from io.Reader = raw
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, bodyError(err)
		}
		from = z
	case "deflate":
		from = flate.NewReader(raw)
	default:
		return nil, badf("Content-Encoding %q is neither gzip nor deflate", encoding)
	}
	text, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	if err != nil {
		return nil, bodyError(err)
	}
	if len(text) > maxBody {
		return nil, tooLarge()
	}
	return text, nil
}

func bodyError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge()
	}
	return badf("the body cannot be read: %v", err)
}

func tooLarge() error { return badf("the body is larger than %d bytes", maxBody) }

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
