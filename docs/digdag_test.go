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
var waiting = map[string]string{
	"backfill":                 "L51 Q8",
	"skipping of sessions":     "L52",
	"enabling and disabling":   "Q9 Q32",
	"pushing projects":         "Q5 Q6 Q33",
	"lists of revisions":       "Q11",
	"gitdag server":            "Q16",
	"secrets on the agent":     "Q17 Q18",
	"agents on other machines": "Q20",
	"limits of attempts":       "Q25 Q36",
	"containers":               "O8 O9 O10",
	"rb>":                      "O12",
	"http>":                    "O13 O38",
	"mail>":                    "O14 O33",
	"td>":                      "O15 O16",
	"pg>":                      "O18",
	"redshift>":                "O19 O20",
	"emr>":                     "O21",
	"param_set>":               "O23",
	"bq>":                      "O25",
	"notifications of Digdag":  "O41",
}

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
		if len(proofs) == 0 {
			t.Errorf("%s: nothing shows it", rule)
		}
		for _, p := range proofs {
			var err error
			switch {
			case slices.Contains(pending, p):
				err = fmt.Errorf("%s is not expected to pass", p)
			case strings.HasPrefix(p, "G/"):
				if !strings.Contains(recorded, `"id": "`+p+`"`) {
					err = fmt.Errorf("no recorded case %s", p)
				}
			case strings.HasSuffix(p, ".txt"):
				err = transcript(p, rule)
			default:
				err = goTest(t, p)
			}
			if err != nil {
				t.Errorf("%s: %v", rule, err)
			}
		}
	}
}

// transcript says what is wrong with a scenario or a script as a proof: it must
// say in a comment which rule it shows, a scenario in its first line.
func transcript(name, rule string) error {
	data, err := os.ReadFile(filepath.Join("../testdata/scenarios", name))
	comments, _, _ := strings.Cut(string(data), "\n")
	if err != nil {
		if data, err = os.ReadFile(filepath.Join("../testdata/scripts", name)); err != nil {
			return err
		}
		commands, _, _ := strings.Cut(string(data), "\n-- ")
		comments = strings.Join(regexp.MustCompile(`(?m)^#.*$`).FindAllString(commands, -1), "\n")
	}
	for word := range strings.SplitSeq(strings.Trim(rule, "`"), ", ") {
		if regexp.MustCompile(`\b` + regexp.QuoteMeta(word) + `\b`).MatchString(comments) {
			return nil
		}
	}
	return fmt.Errorf("%s does not name it", name)
}

// goTest looks for a test that is named as its package's folder, a dot and its name.
func goTest(t *testing.T, name string) error {
	t.Helper()
	at := strings.LastIndex(name, ".")
	files, _ := filepath.Glob(filepath.Join("..", name[:max(at, 0)], "*_test.go"))
	for _, file := range files {
		if strings.Contains(read(t, file), "\nfunc "+name[at+1:]+"(t *testing.T) {") {
			return nil
		}
	}
	return fmt.Errorf("no test %s", name)
}
