package expr

import (
	"iter"
	"strings"
)

// A piece of a template is literal text, ready to be emitted, or the JavaScript between ${ and its brace.
type piece struct {
	text string
	code bool
}

// pieces splits a template (L21, L24). ${ that is directly followed by lower-case letters and a colon is literal; braces
// are counted without regard to quotes; from a ${ without its closing brace on, everything is literal; $$ in literal
// text stands for one $. There is no escape for ${.
func pieces(text string) iter.Seq[piece] {
	return func(yield func(piece) bool) {
		for text != "" {
			open := opening(text)
			end := closing(text[open:])
			if end < 0 {
				if yield(literal(text[:open])) {
					yield(literal(text[open:]))
				}
				return
			}
			if open > 0 && !yield(literal(text[:open])) {
				return
			}
			code := text[open+len("${") : open+end]
			if code != "" && !yield(piece{code, true}) {
				return
			}
			text = text[open+end+1:]
		}
	}
}

func literal(text string) piece { return piece{text: strings.ReplaceAll(text, "$$", "$")} }

// opening returns where the first ${ of an expression stands, the length of text if there is none.
func opening(text string) int {
	for at := 0; ; {
		next := strings.Index(text[at:], "${")
		if next < 0 {
			return len(text)
		}
		at += next + len("${")
		rest := strings.TrimLeft(text[at:], "abcdefghijklmnopqrstuvwxyz")
		if len(rest) == len(text)-at || !strings.HasPrefix(rest, ":") {
			return at - len("${")
		}
	}
}

// closing returns where the brace stands that closes the ${ at the start of text, -1 if nowhere.
func closing(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
