package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf16"
)

// properties are configuration entries, in the form of Java's property files:
// what Digdag's configuration is written in.
type properties map[string]string

func (p properties) set(key, value string) { p[key] = value }

func (p properties) readFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	p.read(string(text))
	return nil
}

// below returns the entries whose key begins with a prefix, without it.
func (p properties) below(prefix string) map[string]string {
	m := map[string]string{}
	for key, value := range p {
		if rest, ok := strings.CutPrefix(key, prefix); ok && rest != "" {
			m[rest] = value
		}
	}
	return m
}

// read adds the entries of a text; there is no text that is wrong.
func (p properties) read(text string) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimLeft(lines[i], " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		for continues(line) {
			line = line[:len(line)-1]
			if i+1 == len(lines) {
				break
			}
			i++
			line += strings.TrimLeft(lines[i], " \t\f")
		}
		key, value := cutProperty(line)
		p[key] = value
	}
}

// continues tells whether a line ends in an odd number of backslashes.
func continues(line string) bool {
	n := len(line) - len(strings.TrimRight(line, `\`))
	return n%2 == 1
}

// cutProperty splits a line at the first of `=`, `:` or white space that is not
// escaped.
func cutProperty(line string) (key, value string) {
	end := 0
	for end < len(line) && !strings.ContainsRune("=: \t\f", rune(line[end])) {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(line))
	rest := strings.TrimLeft(line[end:], " \t\f")
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = strings.TrimLeft(rest[1:], " \t\f")
	}
	return unescape(line[:end]), unescape(rest)
}

func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	var units []uint16 // of \u escapes: characters outside the first plane take two
	flush := func() {
		b.WriteString(string(utf16.Decode(units)))
		units = units[:0]
	}
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+5 < len(text) && text[i+1] == 'u' {
			if n, err := strconv.ParseUint(text[i+2:i+6], 16, 16); err == nil {
				units = append(units, uint16(n))
				i += 5
				continue
			}
		}
		flush()
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch c := text[i]; c {
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		default:
			b.WriteByte(c)
		}
	}
	flush()
	return b.String()
}
