package dig

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	offsetZone = regexp.MustCompile(`^([-+])(\d{1,2})(?::?(\d\d)(?::?(\d\d))?)?$`)
	regionZone = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9~/._+-]+$`)
)

// notZones are names of the system's database that are no names of zones there, or abbreviations that mean another
// thing in each country.
var notZones = map[string]bool{
	"Local": true, "Factory": true, "localtime": true, "posixrules": true, "ROC": true,
	"EST": true, "MST": true, "HST": true,
}

// meant are the zones that people mean by an abbreviation.
var meant = map[string]string{
	"JST": "Asia/Tokyo", "KST": "Asia/Seoul", "IST": "Asia/Kolkata", "BST": "Europe/London",
	"EST": "America/New_York", "EDT": "America/New_York", "CST": "America/Chicago", "CDT": "America/Chicago",
	"MST": "America/Denver", "MDT": "America/Denver", "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles",
	"HST": "Pacific/Honolulu", "AEST": "Australia/Sydney", "CEST": "Europe/Berlin",
}

// Zone returns the time zone of a `timezone:` option: the name of a region, an offset such as +09:00, or UTC, GMT or UT
// with or without one.
func Zone(name string) (*time.Location, error) {
	for _, prefix := range []string{"UTC", "GMT", "UT", ""} {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if zone, ok := fixedZone(name, rest); ok && (rest != "" || prefix != "") {
			return zone, nil
		}
	}
	if regionZone.MatchString(name) && !notZones[name] &&
		!strings.HasPrefix(name, "posix/") && !strings.HasPrefix(name, "right/") {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone, nil
		}
	}
	return nil, fmt.Errorf("unknown time zone %q", name)
}

// fixedZone is the zone of an offset; of none and of Z it is UTC.
func fixedZone(name, offset string) (*time.Location, bool) {
	if offset == "" || offset == "Z" {
		return time.FixedZone(name, 0), true
	}
	m := offsetZone.FindStringSubmatch(offset)
	if m == nil {
		return nil, false
	}
	seconds := 0
	for i, unit := range []int{3600, 60, 1} {
		n, _ := strconv.Atoi(m[i+2]) // digits or nothing
		if i > 0 && n > 59 {
			return nil, false
		}
		seconds += n * unit
	}
	if seconds > 18*3600 {
		return nil, false
	}
	if m[1] == "-" {
		seconds = -seconds
	}
	return time.FixedZone(name, seconds), true
}

func zoneHint(name string) string {
	if zone, ok := meant[strings.ToUpper(name)]; ok {
		return fmt.Sprintf("use the name of a region, such as %s", zone)
	}
	return "use a name such as Asia/Tokyo or an offset such as +09:00"
}
