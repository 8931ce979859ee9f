package dig

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gitdag/engine/params"
)

// BenchmarkCheck loads and checks 1,000 workflows in 200 projects (budget: 1 s).
func BenchmarkCheck(b *testing.B) {
	text, err := os.ReadFile(filepath.Join(samples, "etl", "daily.dig"))
	if err != nil {
		b.Fatal(err)
	}
	settings, err := os.ReadFile(filepath.Join(samples, "etl", "shared", "settings.yml"))
	if err != nil {
		b.Fatal(err)
	}
	files := map[string]string{}
	for p := range 200 {
		for w := range 5 {
			files[fmt.Sprintf("p%d/w%d.dig", p, w)] = string(text)
		}
		files[fmt.Sprintf("p%d/shared/settings.yml", p)] = string(settings)
	}
	dir := write(b, files)
	for b.Loop() {
		n := 0
		for i := range 200 {
			p, ds := Load(filepath.Join(dir, fmt.Sprintf("p%d", i)), Options{})
			if len(ds.Errors()) > 0 {
				b.Fatal(ds)
			}
			n += len(p.Workflows)
		}
		if n != 1000 {
			b.Fatalf("got %d workflows", n)
		}
	}
}

// BenchmarkCompileLoop compiles what a loop of 100,000 iterations generates.
func BenchmarkCompileLoop(b *testing.B) {
	do := params.Of("sh>", params.Template("run ${i}"), "_retry", 3, "_error", params.Of("sh>", "fix"))
	config := params.NewMap(100_000)
	for i := range 100_000 {
		config.Set(fmt.Sprintf("+loop-%d", i), params.Merge(do, params.Of("_export", params.Of("i", i))))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile("^sub", config); err != nil {
			b.Fatal(err)
		}
	}
}
