package secret

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"sync"
)

// Masker replaces the values that it was told, as they are, in base64 and escaped
// for a URL, by ***: one for values that overlap or lie side by side. It is for
// the values that an attempt has seen, say; its zero value has none. It may be
// used by many goroutines.
type Masker struct {
	mu      sync.Mutex
	known   *patterns // nil for none
	matcher *matcher  // nil for no pattern, or if there are new ones
}

// patterns are behind a pointer, as fmt would print them from within others.
type patterns struct{ forms map[string]struct{} }

// Add has a value masked from now on. Values of less than [MinMasked] characters
// are not, which false tells.
func (m *Masker) Add(value string) bool {
	forms := map[string]struct{}{}
	addForms(forms, value)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = &patterns{map[string]struct{}{}}
	}
	before := len(m.known.forms)
	maps.Copy(m.known.forms, forms)
	if len(m.known.forms) > before {
		m.matcher = nil
	}
	return len(forms) > 0
}

// reset has these values masked from now on, and no others.
func (m *Masker) reset(values iter.Seq[string]) {
	forms := map[string]struct{}{}
	for value := range values {
		addForms(forms, value)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known, m.matcher = &patterns{forms}, nil
}

// Masks tells whether there is anything to mask yet.
func (m *Masker) Masks() bool { return m.current() != nil }

// Finds tells whether a text contains what is masked.
func (m *Masker) Finds(text string) bool {
	matcher := m.current()
	if matcher == nil {
		return false
	}
	found := false
	matcher.scan([]byte(text), cursor{}, func(int, int) { found = true })
	return found
}

// current returns the matcher for all values so far, or nil for none.
func (m *Masker) current() *matcher {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.matcher == nil && m.known != nil && len(m.known.forms) > 0 {
		m.matcher = newMatcher(m.known.forms)
	}
	return m.matcher
}

// release lets go of the matcher, which is made again when it is needed.
func (m *Masker) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.matcher = nil
}

// Format writes that it is a masker: never what it masks.
func (m *Masker) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "masker") }

// Mask masks a whole text.
func (m *Masker) Mask(text string) string {
	matcher := m.current()
	if matcher == nil {
		return text
	}
	data := []byte(text)
	var c cover
	matcher.scan(data, cursor{}, c.add)
	if len(c.spans) == 0 {
		return text
	}
	return string(c.release(nil, data, len(data)))
}

// Writer masks what is written to it, on the way to another writer. How the text is
// cut into writes makes no difference. What may be the beginning of a value is
// held back until it is decided or the writer is flushed: never more than the
// longest form of a value, and mostly nothing. Values that are added later count
// for what comes later. It is not for concurrent use.
type Writer struct {
	to      io.Writer
	masker  *Masker
	matcher *matcher
	*undecided
	err error
}

// undecided is the text at hand, behind a pointer as the patterns are.
type undecided struct {
	held   []byte
	cursor cursor
	cover  cover
	out    []byte
}

// Writer returns a writer that masks.
func (m *Masker) Writer(to io.Writer) *Writer {
	return &Writer{to: to, masker: m, undecided: &undecided{}}
}

// Format writes that it is a masking writer: never what it holds back.
func (w *Writer) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "masking writer") }

// Write masks p. After an error of the writer behind there is no further attempt.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if now := w.masker.current(); now != w.matcher {
		w.matcher, w.cursor = now, cursor{} // what is held is looked at again
	}
	if w.matcher == nil {
		return w.pass(p)
	}
	data := p
	if len(w.held) > 0 {
		w.held = append(w.held, p...)
		data = w.held
	}
	w.cursor = w.matcher.scan(data, w.cursor, w.cover.add)
	done := w.cursor.start
	if err := w.emit(data, done); err != nil {
		return 0, err
	}
	w.held = append(w.held[:0], data[done:]...)
	w.cursor.start = 0
	return len(p), nil
}

// emit writes the part of data that is decided.
func (w *Writer) emit(data []byte, done int) error {
	if done == 0 {
		return nil
	}
	if w.cover.none() {
		_, err := w.pass(data[:done])
		return err
	}
	w.out = w.cover.release(w.out[:0], data, done)
	_, err := w.pass(w.out)
	return err
}

func (w *Writer) pass(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := w.to.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	w.err = err
	return n, err
}

// Flush writes what is held back. What comes after begins anew: a value that is
// cut in two by a flush is not recognised.
func (w *Writer) Flush() error {
	if w.err != nil {
		return w.err
	}
	err := w.emit(w.held, len(w.held))
	w.held, w.cursor = w.held[:0], cursor{}
	return err
}

// span is a part of the data that is hidden.
type span struct{ start, end int }

// cover collects what is hidden of a text, of which parts are given away in
// between. Places count from the first byte that was not yet given away.
type cover struct {
	// spans are in order and neither overlap nor touch.
	spans []span
	// hides tells that what was given away last is hidden, and was shown as ***.
	hides bool
}

// add hides a part. Ends increase from one call to the next, unless data is
// looked at again.
func (c *cover) add(start, end int) {
	for n := len(c.spans); n > 0 && c.spans[n-1].end >= start; n-- {
		start, end = min(start, c.spans[n-1].start), max(end, c.spans[n-1].end)
		c.spans = c.spans[:n-1]
	}
	c.spans = append(c.spans, span{start, end})
}

// none tells that nothing is hidden or was just now.
func (c *cover) none() bool { return len(c.spans) == 0 && !c.hides }

// release appends what is shown of the first done bytes of data, after which all
// places move by as much.
func (c *cover) release(out, data []byte, done int) []byte {
	at, left := 0, 0
	for _, s := range c.spans {
		if s.start < done {
			if s.start > at {
				c.hides = false
			}
			out = append(out, data[at:s.start]...)
			if !c.hides {
				out = append(out, hidden...)
			}
			at, c.hides = min(s.end, done), true
		}
		if s.end > done {
			c.spans[left] = span{max(s.start, done) - done, s.end - done}
			left++
		}
	}
	c.spans = c.spans[:left]
	if at < done {
		c.hides = false
		out = append(out, data[at:done]...)
	}
	return out
}
