package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// MinMasked is how many characters a value must have to be masked. What is
	// shorter is in too many texts that tell nothing.
	MinMasked = 6
	// minLine is the same for a line of a value that has several.
	minLine = 16
)

// addForms adds the texts by which a value may be seen in what a task writes: as it
// is, in base64 in which it begins at any byte, escaped for a URL, and in JSON. White
// space around it does not count. The lines of a value of several, such as a
// private key, have forms of their own: texts are indented and quoted line by
// line.
func addForms(set map[string]struct{}, value string) {
	value = strings.TrimSpace(value)
	if utf8.RuneCountInString(value) < MinMasked {
		return
	}
	addFormsOf(set, value)
	if !strings.Contains(value, "\n") {
		return
	}
	for line := range strings.Lines(value) {
		if line = strings.TrimSpace(line); utf8.RuneCountInString(line) >= minLine {
			addFormsOf(set, line)
		}
	}
}

func addFormsOf(set map[string]struct{}, text string) {
	set[text] = struct{}{}
	for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			set[inBase64(alphabet, before, text)] = struct{}{}
		}
	}
	for _, e := range escapings {
		set[e.escape(text)] = struct{}{}
	}
	for _, form := range inJSON(text) {
		set[form] = struct{}{}
	}
}

// inJSON returns how programs write a text in JSON: with as little escaped as
// possible, so that it can stand in HTML, and in ASCII.
func inJSON(text string) [3]string {
	var forms [3]string
	for i := range 2 {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(i == 1)
		_ = e.Encode(text) // a text can be encoded
		quoted := strings.TrimSuffix(b.String(), "\n")
		forms[i] = quoted[1 : len(quoted)-1]
	}
	var b strings.Builder
	for _, r := range forms[0] {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	forms[2] = b.String()
	return forms
}

// inBase64 returns the characters that text determines wholly where it comes
// after some bytes.
func inBase64(alphabet *base64.Encoding, before int, text string) string {
	all := alphabet.EncodeToString(append(make([]byte, before), text...))
	first := (8*before + 5) / 6
	return all[first : 8*(before+len(text))/6]
}

// escaping is one of the habits of escaping for URLs.
type escaping struct{ kept, space, hex string }

const upperHex, lowerHex = "%%%02X", "%%%02x"

// escapings are those of forms, of paths in Go, of Python and of JavaScript.
var escapings = []escaping{
	{"", "+", upperHex},
	{"", "+", lowerHex},
	{"", "%20", upperHex},
	{"", "%20", lowerHex},
	{"/", "%20", upperHex},
	{"/", "%20", lowerHex},
	{"!'()*", "%20", upperHex},
	{"!'()*", "%20", lowerHex},
	{"$&+=:@", "%20", upperHex},
	{"$&+=:@", "%20", lowerHex},
}

func (e escaping) escape(text string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case strings.IndexByte(unreserved, c) >= 0 || strings.IndexByte(e.kept, c) >= 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteString(e.space)
		default:
			fmt.Fprintf(&b, e.hex, c)
		}
	}
	return b.String()
}
