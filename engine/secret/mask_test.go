package secret

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
)

func newMasker(values ...string) *Masker {
	m := &Masker{}
	for _, v := range values {
		m.Add(v)
	}
	return m
}

func TestMask(t *testing.T) {
	for name, c := range map[string]struct {
		values     []string
		text, want string
	}{
		"nothing to mask":    {nil, "hunter22", "hunter22"},
		"none of it":         {[]string{"hunter22"}, "a text", "a text"},
		"the value":          {[]string{"hunter22"}, "it is hunter22!", "it is ***!"},
		"all of the text":    {[]string{"hunter22"}, "hunter22", "***"},
		"six characters":     {[]string{"abcdef", "ghijk", "äöüß"}, "abcdef ghijk äöüß", "*** ghijk äöüß"},
		"not a part of it":   {[]string{"hunter22"}, "hunter2 unter22", "hunter2 unter22"},
		"after a false move": {[]string{"aaaaab"}, "aaaaaaaaab", "aaaa***"},
		"overlapping":        {[]string{"abcdef", "defghi"}, "xabcdefghix", "x***x"},
		"side by side":       {[]string{"abcdef", "ghijkl"}, "xabcdefghijklx", "x***x"},
		"one in another":     {[]string{"abcdefghij", "cdefgh"}, "xabcdefghijx xcdefghx abcdefgh", "x***x x***x ab***"},
		"with itself":        {[]string{"ababab"}, "xababababx", "x***x"},
		"space around it":    {[]string{" hunter22\n"}, "hunter22 hunter22", "*** ***"},
		"lines":              {[]string{"-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA1234\nshort\n"}, "  MIIEpAIBAAKCAQEA1234\n  short", "  ***\n  short"},
		"UTF-8":              {[]string{"schlüssel"}, "der schlüssel, der schluessel", "der ***, der schluessel"},
	} {
		if got := newMasker(c.values...).Mask(c.text); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// A value in JSON is masked as encoders of all kinds write it.
func TestMaskJSON(t *testing.T) {
	m := newMasker("p\"ä\\<&>ß😀x")
	for _, text := range []string{`p\"ä\\<&>ß😀x`, `p\"ä\\\u003c\u0026\u003eß😀x`, `p\"\u00e4\\<&>\u00df\ud83d\ude00x`} {
		if got := m.Mask(`{"k":"` + text + `"}`); got != `{"k":"***"}` {
			t.Errorf("got %s of %s", got, text)
		}
	}
}

func TestFinds(t *testing.T) {
	m := &Masker{}
	if m.Masks() || m.Finds("hunter22") {
		t.Error("an empty masker masks")
	}
	m.Add("short")
	if m.Masks() {
		t.Error("a short value counts")
	}
	m.Add("hunter22")
	for text, want := range map[string]bool{"": false, "hunter2": false, "xhunter22x": true, "aHVudGVyMjI=": true} {
		if got := m.Finds(text); got != want || !m.Masks() {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// Base64 is masked wherever in what is encoded the value lies, but for the bits
// that share a character with its neighbours.
func TestMaskBase64(t *testing.T) {
	const value = "user?>:p~ssw0rd~?>"
	m := newMasker(value)
	for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 7 {
			for after := range 4 {
				text := alphabet.EncodeToString([]byte(strings.Repeat("b", before) + value + strings.Repeat("a", after)))
				got := m.Mask(text)
				shown := len(got) - len(hidden)
				if around := base64.RawStdEncoding.EncodedLen(before + after); !strings.Contains(got, hidden) || shown > around+4 {
					t.Errorf("%d bytes before, %d after: got %q of %q", before, after, got, text)
				}
			}
		}
	}
	if got := m.Mask("Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+value))); got != "Basic bWU6***" {
		t.Errorf("got %q, want all of it masked", got)
	}
}

func TestMaskURLEncoding(t *testing.T) {
	const value = "pä ss/w+rd&=%!('*)$:@~"
	m := newMasker(value)
	query, path := url.QueryEscape(value), url.PathEscape(value)
	for name, text := range map[string]string{
		"query": query, "path": path, "lower case": strings.ReplaceAll(strings.ReplaceAll(query, "%C3%A4", "%c3%a4"), "%2F", "%2f"),
		"a space as %20": strings.ReplaceAll(query, "+", "%20"), "Python": strings.ReplaceAll(strings.ReplaceAll(query, "+", "%20"), "%2F", "/"),
		"JavaScript": "p%C3%A4%20ss%2Fw%2Brd%26%3D%25!('*)%24%3A%40~",
	} {
		if name == "lower case" {
			text = lowerEscapes(query)
		}
		if got := m.Mask("x=" + text + "&y"); got != "x=***&y" {
			t.Errorf("%s: got %q of %q", name, got, text)
		}
	}
}

func lowerEscapes(text string) string {
	b := []byte(text)
	for i := range b {
		if b[i] == '%' {
			copy(b[i:], strings.ToLower(string(b[i:i+3])))
		}
	}
	return string(b)
}

func TestAddTellsWhatIsTooShort(t *testing.T) {
	for value, want := range map[string]bool{"": false, "12345": false, " 12345 ": false, "äöüßé": false, "123456": true, "äöüßéè": true} {
		if got := newMasker().Add(value); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

// naive masks by looking for each form at each place.
func naive(values []string, text string) string {
	forms := map[string]struct{}{}
	for _, v := range values {
		addForms(forms, v)
	}
	hide := make([]bool, len(text)+1)
	for form := range forms {
		for i := 0; i+len(form) <= len(text); i++ {
			if text[i:i+len(form)] == form {
				for j := i; j < i+len(form); j++ {
					hide[j] = true
				}
			}
		}
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !hide[i]:
			b.WriteByte(text[i])
		case i == 0 || !hide[i-1]:
			b.WriteString(hidden)
		}
	}
	return b.String()
}

// written writes a text in random pieces.
func written(t testing.TB, m *Masker, r *rand.Rand, text string) string {
	t.Helper()
	var b strings.Builder
	w := m.Writer(&b)
	for len(text) > 0 {
		n := min(len(text), r.IntN(1+r.IntN(12)))
		if got, err := w.Write([]byte(text[:n])); got != n || err != nil {
			t.Fatalf("write: got %d, %v, want %d", got, err, n)
		}
		text = text[n:]
	}
	must(t, w.Flush())
	return b.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hostile makes values and a text of which much is a value or almost one: few
// letters, and pieces of the values' forms.
func hostile(r *rand.Rand) (values []string, text string) {
	letters := []string{"ab", "abc", "aab", "YWJj", "ab/ "}[r.IntN(5)]
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		return string(b)
	}
	pieces := []string{}
	for range 1 + r.IntN(5) {
		v := word(4 + r.IntN(12))
		values = append(values, v)
		pieces = append(pieces, v, v, base64.StdEncoding.EncodeToString([]byte(word(r.IntN(4))+v)), url.QueryEscape(v))
	}
	var b strings.Builder
	for range r.IntN(12) {
		p := pieces[r.IntN(len(pieces))]
		from := r.IntN(1 + r.IntN(len(p)))
		b.WriteString(p[from:min(len(p), from+1+r.IntN(2*len(p)))])
		b.WriteString(word(r.IntN(1 + r.IntN(4))))
	}
	return values, b.String()
}

// Masking a whole text, or the text in whatever pieces, is what looking for each
// form at each place gives.
func TestMaskingIsWhatItShouldBe(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	masked := 0
	for range 4000 {
		values, text := hostile(r)
		m, want := newMasker(values...), naive(values, text)
		if got := m.Mask(text); got != want {
			t.Fatalf("values %q, text %q: got %q, want %q", values, text, got, want)
		}
		if got := written(t, m, r, text); got != want {
			t.Fatalf("values %q, text %q in pieces: got %q, want %q", values, text, got, want)
		}
		if want != text {
			masked++
		}
	}
	if masked < 1000 {
		t.Errorf("only %d texts had anything to mask", masked)
	}
}

// Random bytes, long, with values here and there: what is skipped is right too.
func TestMaskingLongTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		var values []string
		for range 1 + r.IntN(8) {
			values = append(values, randomText(r, 6+r.IntN(40)))
		}
		var b strings.Builder
		for range 30 {
			b.WriteString(randomText(r, r.IntN(200)))
			b.WriteString(values[r.IntN(len(values))])
		}
		m, want := newMasker(values...), naive(values, b.String())
		if got := m.Mask(b.String()); got != want || !strings.Contains(got, hidden) {
			t.Fatalf("got %q, want %q", got, want)
		}
		if got := written(t, m, r, b.String()); got != want {
			t.Fatalf("in pieces: got %q, want %q", got, want)
		}
	}
}

func randomText(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(' ' + r.IntN(95))
	}
	return string(b)
}

// Only what may become a value is held back, and no longer than a value is.
func TestWriterHoldsBackLittle(t *testing.T) {
	var b strings.Builder
	w := newMasker("hunter22-and-more").Writer(&b)
	for _, c := range []struct{ write, shown string }{
		{"a line\n", "a line\n"},
		{"password: ", "password: "},
		{"h", ""},
		{"unter22-and-mor", ""},
		{"!", "hunter22-and-mor!"},
		{"hunter22-and-", ""},
		{"more", ""},
		{"hunter22-and-more", "***"},
		{" end", " end"},
		{"hunt", ""},
	} {
		before := b.Len()
		if n, err := w.Write([]byte(c.write)); n != len(c.write) || err != nil {
			t.Errorf("%q: got %d, %v", c.write, n, err)
		}
		if got := b.String()[before:]; got != c.shown {
			t.Errorf("%q: shows %q, want %q", c.write, got, c.shown)
		}
	}
	must(t, w.Flush())
	must(t, w.Flush())
	if got := b.String(); !strings.HasSuffix(got, "***"+" end"+"hunt") {
		t.Errorf("flushed: got %q, want the rest", got)
	}
	long := strings.Repeat("a", 1000)
	w = newMasker(long + "b").Writer(&b)
	for range 100 {
		_, err := w.Write([]byte(long))
		must(t, err)
		if len(w.held) > len(long) {
			t.Fatalf("holds back %d bytes, want %d at most", len(w.held), len(long))
		}
	}
}

// A value that comes to be known while a text is written is masked from then on,
// also where it has begun before.
func TestWriterLearns(t *testing.T) {
	var b strings.Builder
	m := &Masker{}
	w := m.Writer(&b)
	write := func(text string) {
		t.Helper()
		_, err := io.WriteString(w, text)
		must(t, err)
	}
	write("second-value ")
	m.Add("first-value")
	write("first-value second-value first-")
	m.Add("second-value")
	m.Add("first-") // six characters, which are held back
	write("value second-value first-x")
	must(t, w.Flush())
	if got, want := b.String(), "second-value *** second-value *** *** ***x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

type failAfter struct {
	n     int
	calls int
	err   error
}

func (w *failAfter) Write(p []byte) (int, error) {
	w.calls++
	if w.n -= len(p); w.n < 0 {
		return 0, w.err
	}
	return len(p), nil
}

// An error of the writer behind is final.
func TestWriterThatFails(t *testing.T) {
	full := errors.New("disk full")
	for _, values := range [][]string{nil, {"hunter22"}} {
		to := &failAfter{n: 5, err: full}
		w := newMasker(values...).Writer(to)
		if n, err := w.Write([]byte("12345")); n != 5 || err != nil {
			t.Errorf("got %d, %v, want 5", n, err)
		}
		if _, err := w.Write([]byte("x hunter22 x")); !errors.Is(err, full) {
			t.Errorf("got %v, want %v", err, full)
		}
		calls := to.calls
		if n, err := w.Write([]byte("x")); n != 0 || !errors.Is(err, full) {
			t.Errorf("again: got %d, %v, want %v", n, err, full)
		}
		if err := w.Flush(); !errors.Is(err, full) || to.calls != calls {
			t.Errorf("flush: got %v after %d more writes, want %v after none", err, to.calls-calls, full)
		}
	}
	if _, err := newMasker().Writer(shortWriter{}).Write([]byte("abc")); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v, want %v", err, io.ErrShortWrite)
	}
}

type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) - 1, nil }

func TestMaskerIsShared(t *testing.T) {
	m := newMasker("hunter22")
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			w := m.Writer(io.Discard)
			for i := range 30 {
				m.Add(fmt.Sprintf("value-%d-%d", n, i))
				if got, want := m.Mask(fmt.Sprintf("hunter22 value-%d-%d ", n, i)), "*** *** "; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				if _, err := w.Write([]byte("hunter")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestMaskerDoesNotPrint(t *testing.T) {
	m := newMasker("hunter22")
	w := m.Writer(io.Discard)
	_, err := w.Write([]byte("hunter2"))
	must(t, err)
	for _, v := range []any{m, w, struct {
		m *Masker
		w *Writer
	}{m, w}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "hunter") || strings.Contains(got, "104 117") {
				t.Errorf("%s: got %s", verb, got)
			}
		}
	}
}

// FuzzMask compares masking with the naive way, the text in two pieces.
func FuzzMask(f *testing.F) {
	f.Add("hunter22", "abcdef\nghijklmnopqrstuvw", "x hunter22 aHVudGVyMjI= abcdef", 5)
	f.Add("aaaaaa", "aaaaab", "aaaaaaaaaaaaab", 9)
	f.Fuzz(func(t *testing.T, a, b, text string, cut int) {
		want := naive([]string{a, b}, text)
		m := newMasker(a, b)
		if got := m.Mask(text); got != want {
			t.Errorf("%q, %q in %q: got %q, want %q", a, b, text, got, want)
		}
		cut = max(0, min(cut, len(text)))
		var out strings.Builder
		w := m.Writer(&out)
		for _, piece := range []string{text[:cut], text[cut:]} {
			_, err := io.WriteString(w, piece)
			must(t, err)
		}
		must(t, w.Flush())
		if out.String() != want {
			t.Errorf("%q, %q in %q at %d: got %q, want %q", a, b, text, cut, out.String(), want)
		}
	})
}
