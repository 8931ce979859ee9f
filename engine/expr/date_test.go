package expr_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gitdag/engine/expr"
	"gitdag/engine/params"
)

func location(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestDatesAreInTheWorkflowsZone(t *testing.T) {
	e := newEvaluator(t)
	vars := params.Of("session_time", "2016-03-13T06:30:00Z")
	for _, c := range []struct{ zone, code, want string }{
		{"America/New_York", `moment(session_time).format()`, `2016-03-13T01:30:00-05:00`},
		{"America/New_York", `moment('2016-07-01 12:00:00').format()`, `2016-07-01T12:00:00-04:00`},
		{"America/New_York", `new Date('2016-01-01T00:00:00Z').getHours()`, `19`},
		{"America/New_York", `moment('2016-07-01T00:00:00Z').format('YYYY-MM-DD HH:mm ZZ')`, `2016-06-30 20:00 -0400`},
		{"America/New_York", `moment(session_time).utcOffset(540).format()`, `2016-03-13T15:30:00+09:00`},
		{"America/New_York", `new Date(2016, 0, 1).toISOString()`, `2016-01-01T05:00:00.000Z`},
		{"America/New_York", `moment(session_time).local().format('Z')`, `-05:00`},
		{"America/New_York", `moment(session_time).add(1, 'day').format()`, `2016-03-14T01:30:00-04:00`},
		{"America/New_York", `new Date(2016, 2, 13, 2, 30).toISOString()`, `2016-03-13T07:30:00.000Z`}, // skipped
		{"America/New_York", `new Date(2016, 10, 6, 1, 30).toISOString()`, `2016-11-06T05:30:00.000Z`}, // repeated
		{"Europe/Berlin", `new Date(2016, 9, 30, 2, 30).toISOString()`, `2016-10-30T00:30:00.000Z`},    // repeated
		{"Europe/Berlin", `new Date(2016, 2, 27, 2, 30).toISOString()`, `2016-03-27T01:30:00.000Z`},    // skipped
		{"Asia/Tokyo", `new Date('2016-01-02T03:04:05').toISOString()`, `2016-01-01T18:04:05.000Z`},
		{"Asia/Tokyo", `new Date('2016-01-02').toISOString()`, `2016-01-02T00:00:00.000Z`},
		{"Asia/Tokyo", `new Date('2016-01-02T03:04:05Z').toISOString()`, `2016-01-02T03:04:05.000Z`},
		{"Asia/Tokyo", `new Date('2016-01-02T03:04:05+01:00').toISOString()`, `2016-01-02T02:04:05.000Z`},
		{"Asia/Tokyo", `new Date('Jan 2, 2016 03:04').toISOString()`, `2016-01-01T18:04:00.000Z`},
		{"Asia/Tokyo", `new Date('Jan 2, 2016 03:04 GMT').toISOString()`, `2016-01-02T03:04:00.000Z`},
		{"Asia/Tokyo", `new Date('2016/01/02').toISOString()`, `2016-01-01T15:00:00.000Z`},
		{"Asia/Tokyo", `Date.parse('2016-01-02T03:04:05Z')`, `1451703845000`},
		{"Asia/Tokyo", `new Date('nonsense').getTime()`, `null`},
		{"Asia/Tokyo", `new Date(0).toString()`, `Thu Jan 01 1970 09:00:00 GMT+0900 (JST)`},
		{"Asia/Tokyo", `new Date(NaN).toString()`, `Invalid Date`},
		{"Asia/Tokyo", `String(new Date(0))`, `Thu Jan 01 1970 09:00:00 GMT+0900 (JST)`},
		{"Asia/Tokyo", `new Date(0) + ''`, `Thu Jan 01 1970 09:00:00 GMT+0900 (JST)`},
		{"Asia/Tokyo", `new Date(0).toDateString()`, `Thu Jan 01 1970`},
		{"Asia/Tokyo", `new Date(0).getTimezoneOffset()`, `-540`},
		{"Asia/Tokyo", `typeof Date()`, `string`},
		{"Asia/Tokyo", `new Date(NaN).getHours()`, `null`},
		{"Asia/Tokyo", `new Date(new Date(5)).getTime()`, `5`},
		{"Asia/Tokyo", `new Date(moment(5)).getTime()`, `5`},
		{"Asia/Tokyo", `new Date(99, 0).getFullYear()`, `1999`},
		{"Asia/Tokyo", `new Date(2016, NaN).getTime()`, `null`},
		{"Asia/Tokyo", `new Date(1e9, 0).getTime()`, `null`},
		{"Asia/Tokyo", `new Date(2016, 0, 1, 0, 0, 0, 1e18).getTime()`, `null`},
		{"Asia/Tokyo", `new Date(2016, 13, 32, 25).toISOString()`, `2017-03-04T16:00:00.000Z`},
		{"Asia/Tokyo", `(function(){ var d = new Date(0); d.setHours(0, 30); return d.toISOString() })()`, `1969-12-31T15:30:00.000Z`},
		{"Asia/Tokyo", `(function(){ var d = new Date(0); d.setMonth(12); return d.toISOString() })()`, `1971-01-01T00:00:00.000Z`},
		{"Asia/Tokyo", `(function(){ var d = new Date(NaN); d.setFullYear(2016); return d.toISOString() })()`, `2015-12-31T15:00:00.000Z`},
		{"Asia/Tokyo", `(function(){ var d = new Date(0); d.setYear(99); return d.getFullYear() + d.getYear() })()`, `2098`},
		{"Asia/Tokyo", `new Date(NaN).setHours(1)`, `null`},
		{"Asia/Tokyo", `new Date(0).setHours()`, `null`},
		{"Asia/Tokyo", `Date.UTC(2016, 0)`, `1451606400000`},
		{"Asia/Tokyo", `Date.prototype.getHours.call({})`, ``},
	} {
		got, err := e.Text(context.Background(), "${"+c.code+"}", vars, location(t, c.zone))
		if c.want == "" && err != nil {
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s in %s: got %s, %v, want %s", c.code, c.zone, got, err, c.want)
		}
	}
}

func TestDateFieldsAgainstGo(t *testing.T) {
	e := newEvaluator(t)
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "UTC"} {
		zone := location(t, name)
		for range 8 {
			at := time.Unix(r.Int64N(4e9)-1e9, 0).In(zone)
			vars := params.Of("ms", at.UnixMilli())
			text := `${(function(d){ return [d.getFullYear(), d.getMonth() + 1, d.getDate(), d.getHours(), d.getMinutes(), d.getSeconds(), d.getDay()] })(new Date(ms))}`
			want := fmt.Sprintf("[%d,%d,%d,%d,%d,%d,%d]", at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Weekday())
			if got, err := e.Text(context.Background(), text, vars, zone); err != nil || got != want {
				t.Errorf("%v: got %s, %v, want %s", at, got, err, want)
			}
			text = `${moment(ms).format('YYYY-MM-DDTHH:mm:ssZ')}`
			if got, err := e.Text(context.Background(), text, vars, zone); err != nil || got != at.Format("2006-01-02T15:04:05-07:00") {
				t.Errorf("moment of %v: got %s, %v", at, got, err)
			}
		}
	}
}

func TestOneTaskOneZone(t *testing.T) {
	e := newEvaluator(t)
	for _, c := range []struct {
		zone *time.Location
		want string
	}{{location(t, "Asia/Tokyo"), "9 9"}, {nil, "0 0"}, {location(t, "Asia/Kolkata"), "5 5"}} {
		got, err := e.Evaluate(context.Background(), expr.Scope{
			Local: params.Of("a", params.Template("${new Date(0).getHours()} ${moment(0).hour()}")), Zone: c.zone,
		})
		if v, _ := got.Lookup("a"); err != nil || v != any(c.want) {
			t.Errorf("%v: got %v, %v, want %s", c.zone, v, err, c.want)
		}
	}
}
