package expr

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gitdag/engine/params"
)

// reference evaluates code that is a plain reference to a parameter (name, a.b, a['b'], a[0], this['name']) as JavaScript
// would, and returns false for everything of which it is not certain: other code, absent names, errors. write writes
// the numbers of the result.
func reference(code string, scope layers, write func(params.Number) string) (result, name string, ok bool) {
	name, rest := scopeMember(strings.Trim(code, " \t\r\n"))
	if name == "" {
		return "", "", false
	}
	value, ok := scope.lookup(name)
	for ok && rest != "" {
		if value == nil {
			return "", "", false // a TypeError, which JavaScript words
		}
		value, rest, ok = member(value, rest)
	}
	if !ok {
		return "", "", false
	}
	result, ok = embed(value, write)
	return result, name, ok
}

// exact writes integers that no double can hold as they are (L20), all else as JavaScript does.
func exact(n params.Number) string {
	const most = 1 << 53
	if i, err := strconv.ParseInt(string(n), 10, 64); n.IsInteger() && (err != nil || i > most || i < -most) {
		return string(n)
	}
	return n.JavaScript()
}

// scopeMember splits the name of a parameter off the start of code, "" if none stands there.
func scopeMember(code string) (name, rest string) {
	name, rest = identifier(code)
	if name == "this" {
		return memberName(rest)
	}
	if isWord(name) {
		return "", code
	}
	return name, rest
}

// member takes one step of a reference. A member that is certainly undefined is nil.
func member(value any, rest string) (any, string, bool) {
	name, after := memberName(rest)
	if name == "" && strings.HasPrefix(rest, "[") {
		return item(value, rest[1:])
	}
	m, ok := value.(*params.Map)
	if name == "" || !ok {
		return nil, rest, false
	}
	found, ok := m.Lookup(name)
	return found, after, ok || !inherited(name)
}

// memberName splits .name, ['name'] or ["name"] off the start of rest.
func memberName(rest string) (name, after string) {
	switch {
	case strings.HasPrefix(rest, "."):
		return identifier(rest[1:])
	case strings.HasPrefix(rest, "['"):
		return quoted(rest[1:], "'")
	case strings.HasPrefix(rest, `["`):
		return quoted(rest[1:], `"`)
	}
	return "", rest
}

func item(value any, rest string) (any, string, bool) {
	digits, after, closed := strings.Cut(rest, "]")
	index, err := strconv.Atoi(digits)
	list, ok := value.(params.List)
	if !closed || err != nil || !ok || strconv.Itoa(index) != digits || index < 0 {
		return nil, rest, false
	}
	if index >= len(list) {
		return nil, after, true
	}
	return list[index], after, true
}

// quoted reads a name in quotes and the bracket behind it; names with escapes are left to JavaScript.
func quoted(rest, quote string) (name, after string) {
	name, after, _ = strings.Cut(rest[1:], quote)
	after, closed := strings.CutPrefix(after, "]")
	if !closed || strings.ContainsAny(name, "\\\n\r\u2028\u2029") {
		return "", rest
	}
	return name, after
}

// identifier splits a name off the start of code, "" if there is none.
func identifier(code string) (name, rest string) {
	end := strings.IndexFunc(code, func(r rune) bool {
		return r != '_' && r != '$' && !(r < utf8.RuneSelf && unicode.IsDigit(r)) && !unicode.IsLetter(r)
	})
	if end < 0 {
		end = len(code)
	}
	if end == 0 || code[0] >= '0' && code[0] <= '9' {
		return "", code
	}
	return code[:end], code[end:]
}

// isWord tells whether name means, or might mean, something to JavaScript whatever the parameters are.
func isWord(name string) bool {
	switch name {
	case "arguments", "async", "await", "break", "case", "catch", "class", "const", "continue", "debugger", "default",
		"delete", "do", "else", "enum", "eval", "export", "extends", "false", "finally", "for", "function", "if",
		"implements", "import", "in", "instanceof", "interface", "let", "new", "null", "of", "package", "private",
		"protected", "public", "return", "static", "super", "switch", "this", "throw", "true", "try", "typeof",
		"undefined", "var", "void", "while", "with", "yield":
		return true
	}
	return false
}

// inherited tells whether every object has a member of this name.
func inherited(name string) bool {
	switch name {
	case "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf":
		return true
	}
	return strings.HasPrefix(name, "__")
}

// embed is the text that a value becomes inside a template. It is not certain of text that is not UTF-8.
func embed(value any, write func(params.Number) string) (string, bool) {
	if value == nil {
		return "", true
	}
	if text, ok := params.Text(value); ok {
		return text, utf8.ValidString(text)
	}
	return string(appendScript(nil, value, write)), true
}

// appendScript appends what JSON.stringify makes of value, but for the numbers.
func appendScript(b []byte, value any, write func(params.Number) string) []byte {
	switch value := value.(type) {
	case params.Number:
		return append(b, write(value)...)
	case params.List:
		b = append(b, '[')
		for i, item := range value {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendScript(b, item, write)
		}
		return append(b, ']')
	case *params.Map:
		b = append(b, '{')
		for i, key := range scriptOrder(value) {
			if i > 0 {
				b = append(b, ',')
			}
			item, _ := value.Lookup(key)
			b = append(params.AppendJSON(b, key), ':')
			b = appendScript(b, item, write)
		}
		return append(b, '}')
	}
	return params.AppendJSON(b, value)
}

// scriptOrder returns the keys as JavaScript orders them: array indices first, by their number.
func scriptOrder(m *params.Map) []string {
	keys := m.Keys()
	if !slices.ContainsFunc(keys, isIndex) {
		return keys
	}
	slices.SortStableFunc(keys, func(a, b string) int {
		switch indexA, indexB := isIndex(a), isIndex(b); {
		case indexA && indexB && len(a) == len(b):
			return strings.Compare(a, b)
		case indexA && indexB:
			return len(a) - len(b)
		case indexA:
			return -1
		case indexB:
			return 1
		}
		return 0
	})
	return keys
}

func isIndex(key string) bool {
	n, err := strconv.ParseUint(key, 10, 32)
	return err == nil && n < 1<<32-1 && strconv.FormatUint(n, 10) == key
}
