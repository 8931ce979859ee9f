package params

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Parse reads one JSON value. Texts are data. Numbers keep their literal and objects their order; of a key that is
// given twice the last value counts.
func Parse(text []byte) (any, error) { return parse(text, false) }

func parse(text []byte, encoded bool) (any, error) {
	if !json.Valid(text) {
		var raw json.RawMessage
		err := json.Unmarshal(text, &raw)
		if err == nil {
			err = errors.New("invalid text")
		}
		return nil, fmt.Errorf("parse JSON: %w", err)
	}
	r := reader{text: text, encoded: encoded}
	return r.value(), nil
}

// reader walks text that json.Valid has accepted, so it never checks syntax or depth itself.
type reader struct {
	text    []byte
	at      int
	encoded bool // read the form of Encode
}

// next skips white space and returns the byte there without taking it.
func (r *reader) next() byte {
	for {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return c
		}
	}
}

func (r *reader) value() any {
	switch r.next() {
	case '{':
		return r.object()
	case '[':
		return r.list()
	case '"':
		return r.leaf(r.str())
	case 't':
		r.at += len("true")
		return true
	case 'f':
		r.at += len("false")
		return false
	case 'n':
		r.at += len("null")
		return nil
	}
	return r.number()
}

func (r *reader) leaf(text string) any {
	if r.encoded && strings.Contains(text, "$") {
		return Template(text)
	}
	return text
}

func (r *reader) object() any {
	m := &Map{}
	r.at++
	for r.next() != '}' {
		key := r.str()
		r.next()
		r.at++ // the colon
		m.Set(key, r.value())
		if r.next() == ',' {
			r.at++
		}
	}
	r.at++
	if r.encoded {
		return unmark(m)
	}
	return m
}

// unmark undoes what Encode does to marked text and to objects that look like it.
func unmark(m *Map) any {
	if len(m.entries) != 1 || !isDataKey(m.entries[0].key) {
		return m
	}
	only := &m.entries[0]
	if only.key != dataKey {
		only.key = only.key[1:]
		return m
	}
	if text, ok := Text(only.value); ok {
		return text
	}
	return m
}

func (r *reader) list() List {
	list := List{}
	r.at++
	for r.next() != ']' {
		list = append(list, r.value())
		if r.next() == ',' {
			r.at++
		}
	}
	r.at++
	return list
}

func (r *reader) number() Number {
	start := r.at
	for r.at < len(r.text) && strings.IndexByte("+-.eE0123456789", r.text[r.at]) >= 0 {
		r.at++
	}
	return Number(r.text[start:r.at])
}

func (r *reader) str() string {
	r.next()
	start := r.at
	escaped := false
	for r.at++; r.text[r.at] != '"'; r.at++ {
		if r.text[r.at] == '\\' {
			escaped = true
			r.at++
		}
	}
	r.at++
	raw := r.text[start:r.at]
	if !escaped && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1])
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		panic("params: a valid JSON string does not decode: " + err.Error())
	}
	return text
}

// dataKey marks, in the form of Encode, text that is data although it looks like a template.
const dataKey = "!data"

// isDataKey tells whether key is one or more '!' and "data".
func isDataKey(key string) bool {
	bare, ok := strings.CutSuffix(key, "data")
	return ok && bare != "" && strings.Trim(bare, "!") == ""
}

// Encode writes v as one line from which Decode makes an equal value: JSON, in which a string is a template if it holds
// a dollar sign. Data that holds one is written as {"!data": text}, and an object that could be mistaken for it, one
// with the only key !data or !!data and so on, with one more '!'.
func Encode(v any) []byte { return appendValue(nil, v, true) }

// Decode reads what Encode wrote.
func Decode(text []byte) (any, error) { return parse(text, true) }

// AppendJSON appends v in its wire form: both kinds of text are plain JSON strings.
func AppendJSON(b []byte, v any) []byte { return appendValue(b, v, false) }

func appendValue(b []byte, v any, encoded bool) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		if v {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	case Number:
		return append(b, v...)
	case Template:
		return appendString(b, string(v))
	case string:
		if encoded && strings.Contains(v, "$") {
			return append(appendString(append(b, `{"!data":`...), v), '}')
		}
		return appendString(b, v)
	case List:
		return appendList(b, v, encoded)
	case *Map:
		return appendMap(b, v, encoded)
	}
	panic(fmt.Sprintf("params: %T is not a parameter value", v))
}

func appendList(b []byte, list List, encoded bool) []byte {
	b = append(b, '[')
	for i, item := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(b, item, encoded)
	}
	return append(b, ']')
}

func appendMap(b []byte, m *Map, encoded bool) []byte {
	b = append(b, '{')
	for i := range m.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		key := m.entries[i].key
		if encoded && m.Len() == 1 && isDataKey(key) {
			key = "!" + key
		}
		b = append(appendString(b, key), ':')
		b = appendValue(b, m.entries[i].value, encoded)
	}
	return append(b, '}')
}

const hexDigits = "0123456789abcdef"

// appendString writes what JSON.stringify writes: no escapes beyond those that JSON demands, bytes that are not UTF-8
// as the replacement character.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = appendEscape(append(b, s[start:i]...), c)
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// MarshalJSON writes the object in order, both kinds of text as JSON strings.
func (m *Map) MarshalJSON() ([]byte, error) { return appendMap(nil, m, false), nil }

// UnmarshalJSON replaces m with the object that text holds; its texts are data.
func (m *Map) UnmarshalJSON(text []byte) error {
	v, err := Parse(text)
	if err != nil {
		return err
	}
	if v == nil {
		return nil
	}
	object, ok := v.(*Map)
	if !ok {
		return fmt.Errorf("parse JSON: expected an object, got %s", sample(v))
	}
	*m = *object
	return nil
}

// MarshalJSON writes the number's literal.
func (n Number) MarshalJSON() ([]byte, error) { return []byte(n), nil }

// MarshalJSON writes the list, both kinds of text as JSON strings.
func (l List) MarshalJSON() ([]byte, error) { return appendList(nil, l, false), nil }
