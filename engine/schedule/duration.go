package schedule

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads `Nd Nh Nm Ns`: at least one part, in this order, in any
// case, with or without spaces.
func ParseDuration(text string) (time.Duration, error) {
	fail := func() (time.Duration, error) {
		return 0, fmt.Errorf("expected a duration such as 1d 2h 3m 4s but got %q", text)
	}
	units := []struct {
		letter  string
		seconds int64
	}{{"d", day}, {"h", hour}, {"m", minute}, {"s", 1}}

	var total int64
	rest := strings.ToLower(strings.TrimSpace(text))
	if rest == "" {
		return fail()
	}
	for _, unit := range units {
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		after, ok := strings.CutPrefix(strings.TrimSpace(rest[len(digits):]), unit.letter)
		if digits == "" || !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		const limit = math.MaxInt64 / int64(time.Second)
		if err != nil || n > (limit-total)/unit.seconds {
			return fail()
		}
		total += n * unit.seconds
		rest = strings.TrimSpace(after)
	}
	if rest != "" {
		return fail()
	}
	return time.Duration(total) * time.Second, nil
}

// clockParts reads integers separated by colons, of any range, and returns the
// seconds that they stand for. The last of three parts, and of two if
// minutesFirst is set, are the seconds.
func clockParts(text string, parts int, minutesFirst bool) (int64, bool) {
	fields := strings.Split(text, ":")
	if len(fields) != parts {
		return 0, false
	}
	unit := int64(hour)
	if minutesFirst {
		unit = minute
	}
	var total int64
	for _, f := range fields {
		n, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return 0, false
		}
		total += n * unit
		unit /= 60
	}
	// A century either way keeps every sum with an instant within its type.
	const century = 100 * 366 * day
	return total, -century <= total && total <= century
}
