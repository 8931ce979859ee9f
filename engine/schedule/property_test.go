package schedule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// naive is a pattern as plain sets of numbers, searched minute by minute. It
// shares nothing with the code under test but the text that both stand for.
type naive struct {
	alternatives [][5][]int // nil is every value
	loc          *time.Location
}

func (n naive) String() string {
	var alternatives []string
	for _, a := range n.alternatives {
		var fields []string
		for _, set := range a {
			text := "*"
			if set != nil {
				text = strings.Trim(strings.ReplaceAll(fmt.Sprint(set), " ", ","), "[]")
			}
			fields = append(fields, text)
		}
		alternatives = append(alternatives, strings.Join(fields, " "))
	}
	return strings.Join(alternatives, "|")
}

func matches(a [5][]int, t time.Time) bool {
	for i, v := range []int{t.Minute(), t.Hour(), t.Day(), int(t.Month()), int(t.Weekday())} {
		if a[i] != nil && !slices.Contains(a[i], v) {
			return false
		}
	}
	return true
}

// next is the rule of the language, word by word.
func (n naive) next(after time.Time) time.Time {
	t := after.Add(time.Minute).Truncate(time.Minute)
	local := t.In(n.loc)
	for _, a := range n.alternatives {
		if matches(a, local) {
			return t
		}
	}
	var found time.Time
	for _, a := range n.alternatives {
		wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), 0, 0, time.UTC)
		for !matches(a, wall) {
			step := time.Minute
			if day := [5][]int{2: a[2], 3: a[3], 4: a[4]}; !matches(day, wall) {
				step = wall.Truncate(24*time.Hour).AddDate(0, 0, 1).Sub(wall)
			}
			wall = wall.Add(step)
		}
		if u := n.convert(wall); found.IsZero() || u.Before(found) {
			found = u
		}
	}
	return found
}

// convert tries every offset about a wall time; all of today's are quarters of
// an hour. The later of two instants counts; if there is none, the wall minutes
// before it are tried.
func (n naive) convert(wall time.Time) time.Time {
	want := wall.Format(time.DateTime)
	for m := 26 * 60; m >= -26*60; m -= 15 {
		u := wall.Add(time.Duration(m) * time.Minute)
		if u.In(n.loc).Format(time.DateTime) == want {
			return u
		}
	}
	return n.convert(wall.Add(-time.Minute)).Add(time.Minute)
}

// series walks from an instant to another.
func (n naive) series(from, to time.Time) []time.Time {
	var ticks []time.Time
	for t := n.next(from); !t.After(to); t = n.next(t) {
		ticks = append(ticks, t)
	}
	return ticks
}

// changes are the clock changes, and some calm days, that the property is
// tried around.
var changes = []struct{ zone, at string }{
	{"UTC", "2024-02-29T00:00:00Z"},
	{"Asia/Kolkata", "2016-12-31T18:30:00Z"},
	{"Asia/Kathmandu", "2021-03-01T00:00:00Z"},
	{"America/Los_Angeles", "2016-03-13T10:00:00Z"},
	{"America/Los_Angeles", "2016-11-06T09:00:00Z"},
	{"Australia/Lord_Howe", "2024-10-05T15:30:00Z"}, // half an hour
	{"Australia/Lord_Howe", "2024-04-06T15:00:00Z"},
	{"Pacific/Chatham", "2016-09-24T14:00:00Z"},
	{"Pacific/Apia", "2011-12-30T10:00:00Z"}, // a whole day
	{"Pacific/Apia", "2012-03-31T14:00:00Z"},
	{"America/Sao_Paulo", "2017-10-15T03:00:00Z"}, // no midnight
	{"America/Sao_Paulo", "2018-02-18T02:00:00Z"}, // midnight put off
	{"America/Havana", "2019-11-03T05:00:00Z"},    // midnight twice
	{"America/St_Johns", "2010-03-14T03:31:00Z"},  // at 00:01
	{"America/St_Johns", "2010-11-07T02:31:00Z"},
	{"Antarctica/Troll", "2022-03-27T01:00:00Z"}, // two hours
	{"Antarctica/Troll", "2022-10-30T01:00:00Z"},
	{"Africa/Casablanca", "2023-04-23T02:00:00Z"}, // changes a month apart
}

func TestTicksAgreeWithMinuteByMinuteScan(t *testing.T) {
	for i, change := range changes {
		t.Run(change.zone+" "+change.at, func(t *testing.T) {
			random := rand.New(rand.NewPCG(7, uint64(i)))
			at, err := time.Parse(time.RFC3339, change.at)
			if err != nil {
				t.Fatal(err)
			}
			for range 8 {
				checkAgainst(t, randomPattern(random, zone(t, change.zone)), random, at)
			}
		})
	}
}

func checkAgainst(t *testing.T, n naive, random *rand.Rand, at time.Time) {
	t.Helper()
	const delay = 90
	s, err := Parse([]Field{{"cron>", n.String()}, {"delay", strconv.Itoa(delay)}}, n.loc)
	if err != nil {
		t.Fatal(err)
	}
	ticks := n.series(at.Add(-5*24*time.Hour), at.Add(3*24*time.Hour))
	for i, want := range ticks[:max(0, len(ticks)-1)] {
		if got, _ := s.Next(want); !got.Session.Equal(ticks[i+1]) {
			t.Fatalf("%s: next(%s): got %s, want %s", n, want, got.Session.UTC(), ticks[i+1])
		}
	}
	for range 12 {
		probe := at.Add(time.Duration(random.IntN(4*24*3600)-2*24*3600) * time.Second)
		if got, _ := s.Next(probe); !got.Session.Equal(n.next(probe)) {
			t.Fatalf("%s: next(%s): got %s, want %s", n, probe, got.Session.UTC(), n.next(probe))
		}
		i := sort.Search(len(ticks), func(i int) bool { return !ticks[i].Before(probe) })
		if i == 0 {
			continue
		}
		if got, _ := s.Last(probe); !got.Session.Equal(ticks[i-1]) {
			t.Fatalf("%s: last(%s): got %s, want %s", n, probe, got.Session.UTC(), ticks[i-1])
		}
		checkBetween(t, s, ticks[i:], probe, at.Add(3*24*time.Hour), delay*time.Second, random.IntN(30))
	}
}

// checkBetween compares with the ticks that are not before from.
func checkBetween(t *testing.T, s *Schedule, ticks []time.Time, from, to time.Time, delay time.Duration, newest int) {
	t.Helper()
	got, skipped := s.Between(from.Add(delay-1), to.Add(delay), newest)
	wantSkipped := max(0, len(ticks)-newest)
	if skipped != wantSkipped || len(got) != len(ticks)-wantSkipped {
		t.Fatalf("between %s and %s: got %d ticks and %d skipped, want %d and %d",
			from, to, len(got), skipped, len(ticks)-wantSkipped, wantSkipped)
	}
	for i, tick := range got {
		want := ticks[wantSkipped+i]
		if !tick.Session.Equal(want) || !tick.Run.Equal(want.Add(delay)) {
			t.Fatalf("between %s and %s: tick %d: got %s, want %s", from, to, i, show(tick), want)
		}
	}
}

// randomPattern makes patterns that match within days, with minutes and hours
// that clock changes like.
func randomPattern(random *rand.Rand, loc *time.Location) naive {
	n := naive{loc: loc}
	for range 1 + random.IntN(2) {
		var a [5][]int
		a[0] = subset(random, []int{0, 1, 15, 20, 29, 30, 31, 45, 59}, 3)
		if random.IntN(8) == 0 {
			a[0] = nil
		}
		a[1] = subset(random, []int{0, 1, 2, 3, 22, 23}, 2)
		if random.IntN(2) == 0 {
			a[1] = nil
		}
		if random.IntN(4) == 0 {
			a[2] = subset(random, []int{1, 3, 6, 7, 10, 13, 15, 18, 24, 27, 28, 29, 30, 31}, 9)
		}
		if random.IntN(4) == 0 {
			a[4] = subset(random, []int{0, 1, 2, 3, 4, 5, 6}, 4)
		}
		n.alternatives = append(n.alternatives, a)
	}
	return n
}

func subset(random *rand.Rand, of []int, atMost int) []int {
	set := slices.Clone(of)
	random.Shuffle(len(set), func(i, j int) { set[i], set[j] = set[j], set[i] })
	set = set[:1+random.IntN(atMost)]
	slices.Sort(set)
	return set
}
