package dig

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fill repeats text up to the size that a file may have.
func fill(text string) string { return strings.Repeat(text, maxBytes/len(text)) }

// laughs is the billion laughs with lists, mappings or merges.
func laughs(levels int, item func(name string) string) string {
	var b strings.Builder
	b.WriteString("_export:\n  a0: &a0 {k: lol}\n")
	for i := range levels {
		fmt.Fprintf(&b, "  a%d: &a%d %s\n", i+1, i+1, item(fmt.Sprintf("a%d", i)))
	}
	return b.String()
}

func tenfold(format string) func(string) string {
	return func(name string) string {
		items := make([]string, 10)
		for i := range items {
			items[i] = fmt.Sprintf(format, i, name)
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
}

// Hostile files are refused within the budgets of milliseconds and megabytes. The budgets are far above what is
// measured, for slow machines, and far below what any of the bombs would take.
func TestHostileFiles(t *testing.T) {
	chain := map[string]string{"w.dig": "!include : f0\n"}
	for i := range 12 {
		name := fmt.Sprintf("f%d", i)
		for k := range 10 {
			chain[name] += fmt.Sprintf("k%d:\n  !include : f%d\n", k, i+1)
		}
	}
	chain["f12"] = "x: y\n"
	deep := map[string]string{"w.dig": "_export:\n  !include : f0\n"}
	for i := range 300 {
		deep[fmt.Sprintf("f%d", i)] = fmt.Sprintf("k:\n  !include : f%d\n", i+1)
	}
	deep["f300"] = "x: y\n"
	heavy := map[string]string{"w.dig": "!include : a\n!include : b\n", "a": "k: " + strings.Repeat("a", 600<<10), "b": "l: " + strings.Repeat("b", 600<<10)}
	many := "_export:\n  big: &big " + strings.Repeat("x", 500<<10) + "\n  l: [" + strings.Repeat("*big, ", 80<<10) + "]\n"
	wide := "_export:\n  big: &big {" + numbered("k%d: 1, ", 20_000) + "}\n  l: [" + numbered("{<<: *big, l%d: 1}, ", 20_000) + "]\n"

	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
		ms    int
		mb    uint64
	}{
		{"one byte too many", file(strings.Repeat("#", maxBytes+1)), "may have 1 MiB", 100, 16},
		{"huge", file(strings.Repeat("- a\n", 4<<20)), "may have 1 MiB", 100, 16},
		{"laughing lists", file(laughs(30, func(n string) string { return "[" + strings.Repeat("*"+n+",", 10) + "]" })), "expand to more than", 100, 16},
		{"laughing mappings", file(laughs(30, tenfold("k%d: *%s"))), "expand to more than", 100, 16},
		{"laughing merges", file(laughs(200, tenfold("k%d: {<<: *%s}"))), "expand to more than", 1000, 128},
		{"laughing tasks", file("_export:\n  a0: &a0 {sh>: x}\n" + strings.TrimPrefix(laughs(20, tenfold("+t%d: *%s")), "_export:\n  a0: &a0 {k: lol}\n") + "+t: *a20\n"), "expand to more than", 100, 16},
		{"a long text often", file(many), "expand to more than", 500, 64},
		{"a wide merge often", file(wide), "expand to more than", 2000, 256},
		{"laughing includes", chain, "expand to more than", 500, 64},
		{"deep includes", deep, "nested more than", 1000, 128},
		{"heavy includes", heavy, "may have 1 MiB", 500, 64},
		{"deep flow lists", file("a: " + strings.Repeat("[", 100_000)), "max depth", 100, 32},
		{"deep flow mappings", file(fill("{a: ")), "max depth", 100, 32},
		{"deep block lists", file("a:\n" + fill("- ")[:900<<10]), "max depth", 100, 32},
		{"closed flow lists", file("_export: {a: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}"), "nested more than", 200, 32},
		{"deep chain of aliases", file(laughs(5000, func(n string) string { return "[*" + n + "]" })), "nested more than", 500, 64},
		{"duplicate keys", file("_export:\n" + fill("  a: 1\n")[:900<<10]), "too many errors", 3000, 300},
		{"unknown keys", file(numbered("k%d: 1\n", 60_000)), "too many errors", 3000, 300},
		{"open quote", file("+a: \"" + fill("x\n")[:200<<10]), "unexpected end of stream", 500, 64},
		{"many errors to locate", file("a: [" + fill("b,\n")[:250<<10] + "]]"), "invalid YAML", 3000, 300},
		{"cycle of aliases", file("_export: &a {b: &b {c: *a, d: *b}}\n"), "contains itself", 100, 8},
		{"tabs", file(fill("\t\n")), "cannot start any token", 100, 16},
		{"zeros", file(strings.Repeat("\x00", maxBytes)), "invalid YAML", 100, 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, c.files)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := cpuTime(t)
			_, ds := Load(dir, Options{})
			took := cpuTime(t) - start
			runtime.ReadMemStats(&after)
			mb := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%v, %d MB", took, mb)
			if got := ds.Errors().String(); !strings.Contains(got, c.want) {
				t.Errorf("got %.300q, want %q", got, c.want)
			}
			if len(ds.Errors()) > maxReported+1 {
				t.Errorf("got %d errors, want at most %d", len(ds.Errors()), maxReported+1)
			}
			if mb > c.mb {
				t.Errorf("allocated %d MB, want at most %d", mb, c.mb)
			}
			if limit := time.Duration(c.ms) * time.Millisecond * slowdown; took > limit {
				t.Errorf("took %v, want at most %v", took, limit)
			}
		})
	}
}

func file(text string) map[string]string { return map[string]string{"w.dig": text} }

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// slowdown widens the time budgets, which are there to tell seconds from centuries.
const slowdown = 5

// cpuTime is what the process has computed so far: unlike the clock it does not depend on what else the machine does.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// What one file of the largest size may hold is taken.
func TestLargestFiles(t *testing.T) {
	for name, text := range map[string]string{
		"list":  "_export:\n  l: [" + fill("a,")[:maxBytes-20] + "]",
		"tasks": numbered("+t%d: {sh>: x}\n", 50_000),
	} {
		p, ds := Load(write(t, file(text)), Options{})
		if len(ds) > 0 || len(p.Workflows) != 1 {
			t.Errorf("%s: got %.300s", name, ds)
		}
	}
}

// A named pipe in place of a file does not keep the loader waiting.
func TestNamedPipe(t *testing.T) {
	dir := write(t, map[string]string{"w.dig": "!include : pipe\n"})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("pipe", filepath.Join(dir, "p.dig")); err != nil {
		t.Fatal(err)
	}
	_, ds := Load(dir, Options{})
	if len(ds) != 1 || !strings.Contains(ds.Error(), "pipe is not a regular file") {
		t.Errorf("got %v", ds)
	}
}
