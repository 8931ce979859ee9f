package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// waiting are the numbered rules of what gitdag does not have, by what they wait for.
var waiting = map[string]string{}

// numbers are how far the lists of surprises go.
var numbers = map[string]int{"L": 69, "O": 41, "Q": 39}

var (
	inBackquotes = regexp.MustCompile("`([^`]+)`")
	row          = regexp.MustCompile(`(?m)^\| ([^|]+) \| .* \| ([^|]+) \|$`)
)

// rules are the rows of the page about Digdag: what shows each, by its numbers or its name.
func rules(t *testing.T) map[string][]string {
	t.Helper()
	list := map[string][]string{}
	for _, r := range row.FindAllStringSubmatch(read(t, "digdag.md"), -1) {
		if r[1] == "rule" || r[1] == "---" {
			continue
		}
		if _, ok := list[r[1]]; ok {
			t.Errorf("%s is there twice", r[1])
		}
		list[r[1]] = nil
		for _, p := range inBackquotes.FindAllStringSubmatch(r[2], -1) {
			list[r[1]] = append(list[r[1]], p[1])
		}
	}
	return list
}

// TestEveryRuleIsListed: each number is on the page, or waits for something.
func TestEveryRuleIsListed(t *testing.T) {
	seen := map[string]string{}
	see := func(number, where string) {
		if before, ok := seen[number]; ok {
			t.Errorf("%s is in %q and in %q", number, before, where)
		}
		seen[number] = where
	}
	named := 0
	for rule := range rules(t) {
		if !regexp.MustCompile(`^[LOQ]\d`).MatchString(rule) {
			named++
			continue
		}
		for number := range strings.SplitSeq(rule, ", ") {
			see(number, rule)
		}
	}
	for feature, list := range waiting {
		for number := range strings.FieldsSeq(list) {
			see(number, feature)
		}
	}
	for letter, last := range numbers {
		for i := range last {
			number := fmt.Sprint(letter, i+1)
			if _, ok := seen[number]; !ok {
				t.Errorf("%s is neither listed nor waiting", number)
			}
			delete(seen, number)
		}
	}
	for number, where := range seen {
		t.Errorf("%q has %s, which there is not", where, number)
	}
	if named < 5 {
		t.Errorf("got %d rules without a number, want 5 at least", named)
	}
}

// TestRulesHaveTheirProof looks up what the page about Digdag refers to.
func TestRulesHaveTheirProof(t *testing.T) {
	recorded := read(t, "../testdata/conformance/golden_lang.jsonl") + read(t, "../testdata/conformance/golden_ops.jsonl")
	pending := strings.Split(read(t, "../testdata/conformance/pending.txt"), "\n")
	for rule, proofs := range rules(t) {
		shown := false
		for _, p := range proofs {
			var names bool
			var err error
			switch {
			case slices.Contains(pending, p):
				err = fmt.Errorf("%s is not expected to pass", p)
			case strings.HasPrefix(p, "G/"):
				if names = strings.Contains(recorded, `"id": "`+p+`"`); !names {
					err = fmt.Errorf("no recorded case %s", p)
				}
			case strings.HasSuffix(p, ".txt"):
				if names, err = transcript(p, rule); err == nil && !names {
					err = fmt.Errorf("%s does not name it", p)
				}
			default:
				names, err = goTest(t, p, rule)
			}
			if err != nil {
				t.Errorf("%s: %v", rule, err)
			}
			shown = shown || names
		}
		if !shown {
			t.Errorf("%s: no case is recorded, and no test has it in a comment", rule)
		}
	}
}

// mentions tells whether a text has one of the numbers, or the name, of a rule.
func mentions(text, rule string) bool {
	for word := range strings.SplitSeq(strings.Trim(rule, "`"), ", ") {
		if regexp.MustCompile(`\b` + regexp.QuoteMeta(word) + `\b`).MatchString(text) {
			return true
		}
	}
	return false
}

// transcript tells whether a scenario, in its first line, or a script, in a
// comment, mentions a rule.
func transcript(name, rule string) (bool, error) {
	data, err := os.ReadFile(filepath.Join("../testdata/scenarios", name))
	comments, _, _ := strings.Cut(string(data), "\n")
	if err != nil {
		if data, err = os.ReadFile(filepath.Join("../testdata/scripts", name)); err != nil {
			return false, err
		}
		commands, _, _ := strings.Cut(string(data), "\n-- ")
		comments = strings.Join(regexp.MustCompile(`(?m)^#.*$`).FindAllString(commands, -1), "\n")
	}
	return mentions(comments, rule), nil
}

// goTest tells whether a test mentions a rule, above it or inside. Its name is
// that of its package's folder, a dot and its own.
func goTest(t *testing.T, name, rule string) (bool, error) {
	t.Helper()
	at := strings.LastIndex(name, ".")
	files, _ := filepath.Glob(filepath.Join("..", name[:max(at, 0)], "*_test.go"))
	for _, file := range files {
		before, test, ok := strings.Cut(read(t, file), "\nfunc "+name[at+1:]+"(t *testing.T) {")
		if ok {
			test, _, _ = strings.Cut(test, "\n}\n")
			return mentions(before[strings.LastIndex(before, "\n\n")+1:]+test, rule), nil
		}
	}
	return false, fmt.Errorf("no test %s", name)
}
