package expr

import (
	"math"
	"strings"
	"time"

	"github.com/dop251/goja"
)

// The engine's Date works in the process's time zone. Everything of it that depends on a zone is replaced by these
// functions, which work in the workflow's.

const (
	maxTime       = 8.64e15 // milliseconds from 1970 that a Date reaches
	msPerDay      = 24 * 60 * 60 * 1000
	dateLayout    = "Mon Jan 02 2006"
	timeLayout    = "15:04:05 GMT-0700 (MST)"
	localDate     = "01/02/2006"
	localTime     = "15:04:05"
	maxLocalYears = 400000
)

func (r *runtime) local(ms float64) time.Time { return time.UnixMilli(int64(ms)).In(r.zone) }

// dateGetters maps each local method to a function of the milliseconds of a Date.
func (r *runtime) dateGetters() map[string]func(goja.FunctionCall) goja.Value {
	getters := map[string]func(goja.FunctionCall) goja.Value{}
	numbers := map[string]func(time.Time) int{
		"getFullYear": time.Time.Year,
		"getYear":     func(t time.Time) int { return t.Year() - 1900 },
		"getMonth":    func(t time.Time) int { return int(t.Month()) - 1 },
		"getDate":     time.Time.Day, "getDay": func(t time.Time) int { return int(t.Weekday()) },
		"getHours": time.Time.Hour, "getMinutes": time.Time.Minute, "getSeconds": time.Time.Second,
		"getMilliseconds": func(t time.Time) int { return t.Nanosecond() / int(time.Millisecond) },
	}
	for name, get := range numbers {
		getters[name] = r.dateGetter(goja.NaN(), func(t time.Time) any { return get(t) })
	}
	getters["getTimezoneOffset"] = r.dateGetter(goja.NaN(), func(t time.Time) any {
		_, offset := t.Zone()
		return -float64(offset) / 60
	})
	for name, layout := range map[string]string{
		"toString": dateLayout + " " + timeLayout, "toDateString": dateLayout, "toTimeString": timeLayout,
		"toLocaleString": localDate + ", " + localTime, "toLocaleDateString": localDate, "toLocaleTimeString": localTime,
	} {
		getters[name] = r.dateGetter(r.vm.ToValue("Invalid Date"), func(t time.Time) any { return t.Format(layout) })
	}
	return getters
}

func (r *runtime) dateGetter(invalid goja.Value, get func(time.Time) any) func(goja.FunctionCall) goja.Value {
	return func(call goja.FunctionCall) goja.Value {
		ms := call.Argument(0).ToFloat()
		if math.IsNaN(ms) {
			return invalid
		}
		return r.vm.ToValue(get(r.local(ms)))
	}
}

// Fields of a local date, in the order of the constructor's arguments.
const (
	year = iota
	month
	day
	hours
	minutes
	seconds
	milliseconds
	fields
)

// dateSetters maps each local method to a function of the milliseconds of a Date and the arguments, all numbers.
func (r *runtime) dateSetters() map[string]func(goja.FunctionCall) goja.Value {
	setters := map[string]func(goja.FunctionCall) goja.Value{
		"setYear": func(call goja.FunctionCall) goja.Value {
			y := call.Argument(1).ToFloat()
			if math.Trunc(y) >= 0 && math.Trunc(y) <= 99 {
				y = math.Trunc(y) + 1900
			}
			return r.setFields(call.Argument(0).ToFloat(), year, []float64{y})
		},
	}
	for name, span := range map[string][2]int{
		"setFullYear": {year, 3}, "setMonth": {month, 2}, "setDate": {day, 1}, "setHours": {hours, 4},
		"setMinutes": {minutes, 3}, "setSeconds": {seconds, 2}, "setMilliseconds": {milliseconds, 1},
	} {
		setters[name] = func(call goja.FunctionCall) goja.Value {
			values := []float64{math.NaN()}
			for i, argument := range call.Arguments {
				if i >= 1 && i <= span[1] {
					values = append(values[:i-1], argument.ToFloat())
				}
			}
			return r.setFields(call.Argument(0).ToFloat(), span[0], values)
		}
	}
	return setters
}

func (r *runtime) setFields(ms float64, from int, values []float64) goja.Value {
	if math.IsNaN(ms) {
		if from != year {
			return goja.NaN()
		}
		ms = 0
		_, offset := r.local(0).Zone()
		ms -= float64(offset) * 1000
	}
	t := r.local(ms)
	date := [fields]float64{
		float64(t.Year()), float64(t.Month() - 1), float64(t.Day()), float64(t.Hour()), float64(t.Minute()),
		float64(t.Second()), float64(t.Nanosecond() / int(time.Millisecond)),
	}
	copy(date[from:], values)
	return r.vm.ToValue(r.instant(date))
}

// makeDate returns the milliseconds of a local date; its arguments are the constructor's.
func (r *runtime) makeDate(call goja.FunctionCall) goja.Value {
	date := [fields]float64{day: 1}
	for i, argument := range call.Arguments[:min(len(call.Arguments), fields)] {
		date[i] = argument.ToFloat()
	}
	if y := math.Trunc(date[year]); y >= 0 && y <= 99 {
		date[year] = 1900 + y
	}
	return r.vm.ToValue(r.instant(date))
}

// instant returns the milliseconds of a local date, of which every field may overflow, or NaN.
func (r *runtime) instant(date [fields]float64) float64 {
	for i, field := range date {
		if math.IsNaN(field) || math.IsInf(field, 0) {
			return math.NaN()
		}
		date[i] = math.Trunc(field)
	}
	months := date[year]*12 + date[month]
	if math.Abs(months) > maxLocalYears*12 {
		return math.NaN()
	}
	first := time.Date(0, time.Month(int(months)+1), 1, 0, 0, 0, 0, time.UTC)
	ms := float64(first.UnixMilli()) + (date[day]-1)*msPerDay +
		date[hours]*3_600_000 + date[minutes]*60_000 + date[seconds]*1000 + date[milliseconds]
	if math.Abs(ms) > maxTime+msPerDay {
		return math.NaN()
	}
	ms -= r.offsetOfLocal(ms)
	if math.Abs(ms) > maxTime {
		return math.NaN()
	}
	return ms
}

// offsetOfLocal returns the milliseconds that local time is ahead of UTC. Of a repeated hour the first counts; a skipped
// one is read with the offset before the change.
func (r *runtime) offsetOfLocal(ms float64) float64 {
	offsetAt := func(at float64) float64 {
		_, offset := r.local(at).Zone()
		return float64(offset) * 1000
	}
	before, after := offsetAt(ms-msPerDay), offsetAt(ms+msPerDay)
	if offsetAt(ms-before) != before && offsetAt(ms-after) == after {
		return after
	}
	return before
}

// parseDate returns the milliseconds of a date's text. The engine reads text without a zone in the process's zone; such
// text is recognised by its being readable with a zone appended.
func (r *runtime) parseDate(call goja.FunctionCall) goja.Value {
	text := call.Argument(0).String()
	if isISODate(text) || hasZone(text) {
		return r.vm.ToValue(r.engineParse(text))
	}
	ms := r.engineParse(text + "Z")
	if math.IsNaN(ms) {
		ms = r.engineParse(text + " GMT")
	}
	if !math.IsNaN(ms) {
		ms -= r.offsetOfLocal(ms)
	}
	return r.vm.ToValue(ms)
}

func (r *runtime) engineParse(text string) float64 {
	date, err := r.vm.New(r.builtinDate, r.vm.ToValue(text))
	if err != nil {
		return math.NaN()
	}
	return date.ToFloat()
}

// isISODate tells whether text is a date without a time, which is one in UTC.
func isISODate(text string) bool {
	digits := strings.TrimLeft(text, "+-")
	return digits != "" && strings.Trim(digits, "0123456789-") == ""
}

// hasZone tells whether a text that names a time also names a zone.
func hasZone(text string) bool {
	text = strings.ToLower(text)
	_, clock, ok := strings.Cut(text, ":")
	if !ok {
		clock = text
	}
	clock = strings.ReplaceAll(strings.ReplaceAll(clock, "am", ""), "pm", "")
	if ok && strings.ContainsAny(clock, "+-") {
		return true
	}
	for word := range strings.FieldsFuncSeq(clock, func(r rune) bool { return r < 'a' || r > 'z' }) {
		switch word {
		case "z", "gmt", "utc", "ut", "est", "edt", "cst", "cdt", "mst", "mdt", "pst", "pdt", "wet", "west", "cet", "cest",
			"eet", "eest":
			return true
		}
	}
	return false
}
