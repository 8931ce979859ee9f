package api

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The page for users names every route and no other.
func TestDocumentedRoutes(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, found := range regexp.MustCompile("`((?:GET|PUT|POST|DELETE) /[^`?]*)`").FindAllSubmatch(page, -1) {
		got = append(got, string(found[1]))
	}
	for _, r := range (&server{admin: true}).routes() {
		for method := range r.operations() {
			want = append(want, method+" "+r.path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("routes (-server +page):\n%s", diff)
	}
}
