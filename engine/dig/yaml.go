package dig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// syntaxError is what the parser does not take, with its place.
type syntaxError struct {
	line, column int
	message      string
	hint         string
}

// parseYAML parses text as one document and returns its root; the tree's scalars are not resolved. An empty document
// has no root.
func parseYAML(text []byte) (*yaml.Node, *syntaxError) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if at := invalidUTF8(text); at >= 0 {
		line, column := position(text, at)
		return nil, &syntaxError{line: line, column: column, message: "the file is not UTF-8"}
	}
	text = joinSurrogates(text)
	d := yaml.NewDecoder(bytes.NewReader(text))
	root, err := nextDocument(d)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(text, err)
	}
	second, err := nextDocument(d)
	switch {
	case errors.Is(err, io.EOF):
		return root.Content[0], nil
	case err != nil:
		return nil, explain(text, err)
	}
	return nil, &syntaxError{
		line: second.Line, column: second.Column,
		message: "a second document begins here", hint: "a file is one document: remove the --- line",
	}
}

// nextDocument returns the next document of d. The parser is known to panic on some rare input: that is a syntax error
// too.
func nextDocument(d *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: the text cannot be parsed (%v)", r)
		}
	}()
	doc = new(yaml.Node)
	if err := d.Decode(doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, io.EOF
	}
	return doc, nil
}

func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

var surrogatePair = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)

// joinSurrogates rewrites the surrogate pairs of a JSON text, which the YAML parser does not know.
func joinSurrogates(text []byte) []byte {
	if !surrogatePair.Match(text) || !json.Valid(text) {
		return text
	}
	return surrogatePair.ReplaceAllFunc(text, func(pair []byte) []byte {
		var high, low rune
		if _, err := fmt.Sscanf(string(pair), `\u%04x\u%04x`, &high, &low); err != nil {
			return pair
		}
		return fmt.Appendf(nil, `\U%08X`, utf16.DecodeRune(high, low))
	})
}

// position is the line and column of the byte at offset.
func position(text []byte, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}

// hints explain what the parser's messages mean to the author of a workflow.
var hints = []struct{ message, hint string }{
	{"mapping values are not allowed", "a text that contains a colon and a space needs quotes; otherwise check the indentation"},
	{"cannot start any token", "a text that begins with this character needs quotes"},
	{"did not find expected ',' or '}'", "a text that contains { or } needs quotes here; otherwise a } is missing"},
	{"did not find expected ',' or ']'", "a ] is missing, or a text needs quotes"},
	{"did not find expected key", "check the indentation, and whether a text needs quotes"},
	{"unexpected end of stream", "a closing quote is missing"},
	{"unknown anchor", "a text that begins with * needs quotes"},
	{"unknown escape character", "in double quotes a backslash is written \\\\; in single quotes it needs nothing"},
	{"undefined tag handle", "a text that begins with ! needs quotes"},
}

// explain makes a diagnostic of the parser's error.
func explain(text []byte, err error) *syntaxError {
	message, line := splitMessage(err)
	at := locate(text, message, line)
	e := &syntaxError{message: "invalid YAML: " + message}
	e.line, e.column = position(text, at)
	for _, h := range hints {
		if strings.Contains(message, h.message) {
			e.hint = h.hint
			break
		}
	}
	if strings.Contains(message, "cannot start any token") && at < len(text) && text[at] == '\t' {
		e.hint = "indent with spaces, not with tabs"
	}
	return e
}

var numberedMessage = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// splitMessage takes the parser's prefix and line number, which is often wrong, off its message.
func splitMessage(err error) (message string, line int) {
	text := err.Error()
	m := numberedMessage.FindStringSubmatch(text)
	_, _ = fmt.Sscan(m[1], &line) // no number leaves 0
	return text[len(m[0]):], line
}

// The parser tells at best a line, and for many errors that of something around it. So its input is cut shorter and
// shorter: the error is at the last byte without which it does not happen.
const (
	maxSteps     = 400     // cuts
	maxReparse   = 4 << 20 // bytes parsed again in all
	maxLocatable = 256 << 10
)

// locate returns the offset at which the parser fails with message.
func locate(text []byte, message string, line int) int {
	fallback := lineOffset(text, line)
	if len(text) > maxLocatable || strings.Contains(message, "max depth") {
		return fallback
	}
	counted := &trickle{text: text}
	if !failsWith(yaml.NewDecoder(counted), message) {
		return fallback
	}
	end, budget := counted.read, maxReparse
	for range maxSteps {
		if end == 0 {
			return 0
		}
		if budget -= end; budget < 0 {
			return fallback
		}
		if !failsWith(yaml.NewDecoder(bytes.NewReader(text[:end-1])), message) {
			return lastRune(text, end, message)
		}
		end--
	}
	return fallback
}

// lastRune is the start of the character that ends at end; for an unknown alias that of the alias.
func lastRune(text []byte, end int, message string) int {
	if strings.HasPrefix(message, "unknown anchor") {
		if star := bytes.LastIndexByte(text[:end], '*'); star >= 0 {
			return star
		}
	}
	_, size := utf8.DecodeLastRune(text[:end])
	return end - size
}

func failsWith(d *yaml.Decoder, message string) bool {
	for {
		if _, err := nextDocument(d); err != nil {
			got, _ := splitMessage(err)
			return got == message
		}
	}
}

// lineOffset is the offset of the first character of a line that is not blank.
func lineOffset(text []byte, line int) int {
	at := 0
	for ; line > 1; line-- {
		next := bytes.IndexByte(text[at:], '\n')
		if next < 0 {
			break
		}
		at += next + 1
	}
	rest := text[at:]
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end]
	}
	return at + len(rest) - len(bytes.TrimLeft(rest, " \t"))
}

// trickle gives one byte at a read, so that it knows how far the parser has looked when it fails.
type trickle struct {
	text []byte
	read int
}

func (t *trickle) Read(p []byte) (int, error) {
	if t.read == len(t.text) {
		return 0, io.EOF
	}
	p[0] = t.text[t.read]
	t.read++
	return 1, nil
}
