package docker

import (
	"fmt"
	"slices"
	"strings"
)

// flag is an option of Docker's command line that has its like in the API.
type flag[T any] struct {
	// names are separated by spaces; one of a single letter is short.
	names string
	// bare tells that the option is complete without a value, which is "true" then.
	bare bool
	set  func(into *T, value string) error
}

// readFlags applies the options of a key to into. One that the table lacks is
// an error: nobody should believe that it is obeyed.
func readFlags[T any](key string, args []string, table []flag[T], into *T) error {
	for i := 0; i < len(args); i++ {
		name, value, given, err := splitFlag(args[i])
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		f := slices.IndexFunc(table, func(f flag[T]) bool {
			return slices.Contains(strings.Fields(f.names), strings.TrimLeft(name, "-"))
		})
		switch {
		case f < 0 || table[f].bare && given && !strings.HasPrefix(name, "--"):
			return fmt.Errorf("%s: %s is not supported; Docker's own program knows it, and runs with `docker: {docker: docker, …}`", key, name)
		case given:
		case table[f].bare:
			value = "true"
		case i+1 == len(args):
			return fmt.Errorf("%s: %s needs a value", key, name)
		default:
			i++
			value = args[i]
		}
		if err := table[f].set(into, value); err != nil {
			return fmt.Errorf("%s: %s: %w", key, name, err)
		}
	}
	return nil
}

// splitFlag takes one item apart: the option with its dashes, and its value if
// that is in the same item.
func splitFlag(item string) (name, value string, given bool, err error) {
	if strings.HasPrefix(item, "--") {
		name, value, given = strings.Cut(item, "=")
	} else if strings.HasPrefix(item, "-") && len(item) > 1 {
		name, value, given = item[:2], strings.TrimPrefix(item[2:], "="), len(item) > 2
	}
	option, rest, two := strings.Cut(item, " ")
	switch {
	case len(strings.TrimLeft(name, "-")) == 0:
		return "", "", false, fmt.Errorf("%q is no option", item)
	case two && (strings.Contains(name, " ") || strings.HasPrefix(value, " ")):
		return "", "", false, fmt.Errorf("%q: an option and its value are two items of the list: [%q, %q]", item, option, strings.TrimSpace(rest))
	}
	return name, value, given, nil
}
