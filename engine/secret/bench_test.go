package secret

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// logText is a megabyte of lines as programs log them.
func logText(r *rand.Rand) []byte {
	words := strings.Fields("INFO WARN loaded rows from table orders into staging in ms retry connection closed by peer commit batch host=db-1 user=etl level=info msg=done")
	var b strings.Builder
	for b.Len() < 1<<20 {
		fmt.Fprintf(&b, "2031-04-05T00:%02d:%02d.%03dZ", r.IntN(60), r.IntN(60), r.IntN(1000))
		for range 4 + r.IntN(12) {
			fmt.Fprintf(&b, " %s %d", words[r.IntN(len(words))], r.IntN(10000))
		}
		b.WriteByte('\n')
	}
	return []byte(b.String()[:1<<20])
}

// last keeps what was written last, as a plain copy.
type last struct{ data []byte }

func (l *last) Write(p []byte) (int, error) {
	l.data = append(l.data[:0], p...)
	return len(p), nil
}

// BenchmarkMask writes a megabyte in pieces of 32 KiB; plain is without any
// masking.
func BenchmarkMask(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	lines := logText(r)
	noise := []byte(base64.StdEncoding.EncodeToString([]byte(randomText(r, 3<<18))))
	values := func(n int) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = randomText(r, 8+r.IntN(33))
		}
		return list
	}
	few, many := values(5), values(100)
	hits := []byte(strings.Repeat("password: "+few[0]+" user: etl host: db-1 and some more text\n", 1<<20/80))
	almost := []byte(strings.Repeat(strings.Repeat("a", 39)+"c", 1<<20/40))
	for _, c := range []struct {
		name   string
		values []string
		data   []byte
	}{
		{"plain", nil, lines},
		{"log/5", few, lines},
		{"log/100", many, lines},
		{"base64/5", few, noise},
		{"base64/100", many, noise},
		{"hits/5", few, hits},
		{"almost", []string{strings.Repeat("a", 40) + "b"}, almost},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := newMasker(c.values...).Writer(&last{})
			b.SetBytes(int64(len(c.data)))
			for b.Loop() {
				for rest := c.data; len(rest) > 0; {
					n := min(len(rest), 32<<10)
					if _, err := w.Write(rest[:n]); err != nil {
						b.Fatal(err)
					}
					rest = rest[n:]
				}
			}
		})
	}
}

// BenchmarkLearn adds a value and builds the matcher that knows it.
func BenchmarkLearn(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{20, 3000, MaxValue} {
		value := randomText(r, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m := newMasker(value)
				b.ReportMetric(float64(len(m.current().nodes)), "nodes")
			}
		})
	}
}
