package expr

import (
	"strconv"
	"strings"

	"github.com/dop251/goja"
)

// javaPattern turns a regular expression of Java into one of JavaScript: {pattern, flags}. What only Java has and no
// rewriting gives is left for JavaScript to refuse.
func (r *runtime) javaPattern(call goja.FunctionCall) goja.Value {
	pattern, flags := rewriteJava(call.Argument(0).String())
	result := r.vm.NewObject()
	must(result.Set("pattern", pattern))
	must(result.Set("flags", flags))
	return result
}

// javaClasses are Java's named classes, as the inside of a character class.
func javaClass(name string) (string, bool) {
	switch name {
	case "Alpha", "IsAlphabetic":
		return "a-zA-Z", true
	case "Digit", "IsDigit":
		return "0-9", true
	case "Alnum":
		return "a-zA-Z0-9", true
	case "Upper", "Lu":
		return "A-Z", true
	case "Lower", "Ll":
		return "a-z", true
	case "Space":
		return `\s`, true
	case "Punct":
		return `!-\/:-@\[-` + "`" + `{-~`, true
	case "XDigit":
		return "0-9a-fA-F", true
	}
	return "", false
}

func rewriteJava(pattern string) (script, flags string) {
	pattern, flags = javaFlags(pattern)
	var out strings.Builder
	inClass := false
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\\' && i+1 < len(pattern):
			i += javaEscape(&out, pattern[i:], inClass) - 1
			continue
		case c == '[':
			inClass = true
		case c == ']':
			inClass = false
		case c == '+' && !inClass && i > 0 && strings.IndexByte("+*?}", pattern[i-1]) >= 0 && (i < 2 || pattern[i-2] != '\\'):
			continue // a possessive quantifier matches what the greedy one does, or less
		}
		out.WriteByte(c)
	}
	return out.String(), flags
}

// javaFlags splits flags such as (?i) off the start.
func javaFlags(pattern string) (rest, flags string) {
	head, rest, ok := strings.Cut(pattern, ")")
	letters, isFlags := strings.CutPrefix(head, "(?")
	if !ok || !isFlags || letters == "" || strings.Trim(letters, "imsu") != "" {
		return pattern, ""
	}
	for _, letter := range []string{"i", "m", "s"} {
		if strings.Contains(letters, letter) {
			flags += letter
		}
	}
	return rest, flags
}

// javaEscape writes what the escape at the start of rest means, and returns how long it is.
func javaEscape(out *strings.Builder, rest string, inClass bool) int {
	switch rest[1] {
	case 'Q':
		text, _, closed := strings.Cut(rest[2:], `\E`)
		for _, c := range text {
			if strings.ContainsRune(`\^$.|?*+()[]{}/-`, c) {
				out.WriteByte('\\')
			}
			out.WriteRune(c)
		}
		if !closed {
			return len(rest)
		}
		return len(text) + 4
	case 'A':
		out.WriteByte('^')
	case 'z', 'Z':
		out.WriteByte('$')
	case 'h':
		writeClass(out, ` \t\u00a0`, inClass, false)
	case 'p', 'P':
		name, _, closed := strings.Cut(strings.TrimPrefix(rest[2:], "{"), "}")
		if class, known := javaClass(name); closed && known && rest[2] == '{' {
			writeClass(out, class, inClass, rest[1] == 'P')
			return len(name) + 4
		}
		out.WriteString(rest[:2])
	default:
		out.WriteString(rest[:2])
	}
	return 2
}

func writeClass(out *strings.Builder, class string, inClass, negated bool) {
	switch {
	case inClass:
		out.WriteString(class)
	case negated:
		out.WriteString("[^" + class + "]")
	default:
		out.WriteString("[" + class + "]")
	}
}

// javaReplacement expands a replacement text as Java does: $1 is a group, a backslash takes the next character as it is.
func (r *runtime) javaReplacement(call goja.FunctionCall) goja.Value {
	by := call.Argument(0).String()
	groups := call.Argument(1).(*goja.Object)
	count := groups.Get("length").ToInteger()
	var out strings.Builder
	for i := 0; i < len(by); i++ {
		switch {
		case by[i] == '\\' && i+1 < len(by):
			i++
			out.WriteByte(by[i])
		case by[i] == '$':
			number, width := groupNumber(by[i+1:], count)
			if width == 0 {
				r.throw("RangeError", "Illegal group reference in "+strconv.Quote(by))
			}
			i += width
			if group := groups.Get(strconv.FormatInt(number, 10)); !goja.IsUndefined(group) {
				out.WriteString(group.String())
			}
		default:
			out.WriteByte(by[i])
		}
	}
	return r.vm.ToValue(out.String())
}

// groupNumber reads the group number at the start of rest: as many digits as name a group that exists.
func groupNumber(rest string, count int64) (number int64, width int) {
	for width < len(rest) && rest[width] >= '0' && rest[width] <= '9' {
		next := number*10 + int64(rest[width]-'0')
		if next >= count {
			break
		}
		number = next
		width++
	}
	return number, width
}
