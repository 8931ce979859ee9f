package dig

import (
	"time"

	"gitdag/engine/params"
	"gitdag/engine/schedule"
)

// Zone returns the time zone of a `timezone:` option: an IANA name or an offset.
func Zone(name string) (*time.Location, error) { return parseZone(name) }

// Fields hands a `schedule:` or `sla:` mapping to package schedule.
func Fields(m *params.Map) []schedule.Field { return fields(m) }
