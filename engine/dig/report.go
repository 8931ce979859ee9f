package dig

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
)

// Format is how diagnostics are written for another program.
type Format string

// The formats.
const (
	Text   Format = "text"   // file:line:column: severity: message, with a hint on the next line
	JSON   Format = "json"   // a list of objects
	GitHub Format = "github" // workflow commands, which GitHub Actions shows at the lines of a pull request
	GitLab Format = "gitlab" // GitLab's Code Quality report
	SARIF  Format = "sarif"  // SARIF 2.1.0
)

// Formats lists the formats by name.
func Formats() []Format { return []Format{Text, JSON, GitHub, GitLab, SARIF} }

// Write writes the diagnostics in a format, whole even if there are none. Version is this program's.
func (ds Diagnostics) Write(w io.Writer, format Format, version string) error {
	var text string
	switch format {
	case Text:
		if text = ds.String(); text != "" {
			text += "\n"
		}
	case GitHub:
		for _, d := range ds {
			text += d.workflowCommand() + "\n"
		}
	case JSON:
		return writeJSON(w, ds.objects())
	case GitLab:
		return writeJSON(w, ds.codeQuality())
	case SARIF:
		return writeJSON(w, ds.sarif(version))
	default:
		return fmt.Errorf("write diagnostics: unknown format %q", format)
	}
	_, err := io.WriteString(w, text)
	return err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

type object struct {
	Diagnostic
	Rule string `json:"rule"`
}

func (ds Diagnostics) objects() []object {
	list := make([]object, 0, len(ds))
	for _, d := range ds {
		list = append(list, object{d, d.Rule()})
	}
	return list
}

// full is the message with its hint.
func (d Diagnostic) full() string {
	if d.Hint == "" {
		return d.Message
	}
	return d.Message + "\nhint: " + d.Hint
}

var (
	commandData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// workflowCommand is the diagnostic as GitHub's runners read it from a step's output.
func (d Diagnostic) workflowCommand() string {
	var properties []string
	add := func(name string, value any) {
		properties = append(properties, name+"="+commandProperty.Replace(fmt.Sprint(value)))
	}
	if d.File != "" {
		add("file", d.File)
	}
	if d.Line > 0 {
		add("line", d.Line)
		add("col", d.Column)
	}
	add("title", "gitdag: "+d.Rule())
	return fmt.Sprintf("::%s %s::%s", d.Severity, strings.Join(properties, ","), commandData.Replace(d.full()))
}

// fingerprints tell each diagnostic apart from the others and find it again in a later report, wherever its line has
// moved to.
func (ds Diagnostics) fingerprints() []string {
	seen := map[string]int{}
	list := make([]string, len(ds))
	for i, d := range ds {
		identity := strings.Join([]string{d.File, string(d.Severity), d.Rule(), d.Key, d.Message}, "\x00")
		if n := seen[identity]; n > 0 {
			list[i] = digest(fmt.Sprintf("%s\x00%d", identity, n))
		} else {
			list[i] = digest(identity)
		}
		seen[identity]++
	}
	return list
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// qualityIssue is an entry of GitLab's report.
type qualityIssue struct {
	Description string          `json:"description"`
	CheckName   string          `json:"check_name"`
	Fingerprint string          `json:"fingerprint"`
	Severity    string          `json:"severity"`
	Location    qualityLocation `json:"location"`
}

type qualityLocation struct {
	Path  string       `json:"path"`
	Lines qualityLines `json:"lines"`
}

type qualityLines struct {
	Begin int `json:"begin"`
}

func (ds Diagnostics) codeQuality() []qualityIssue {
	prints := ds.fingerprints()
	list := make([]qualityIssue, 0, len(ds))
	for i, d := range ds {
		severity := "major"
		if d.Severity == Warning {
			severity = "minor"
		}
		list = append(list, qualityIssue{
			Description: strings.ReplaceAll(d.full(), "\n", "; "), CheckName: "gitdag/" + d.Rule(),
			Fingerprint: prints[i], Severity: severity,
			Location: qualityLocation{Path: d.File, Lines: qualityLines{max(d.Line, 1)}},
		})
	}
	return list
}

// The parts of a SARIF log that are used here.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string       `json:"id"`
		Short sarifMessage `json:"shortDescription"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        Severity          `json:"level"`
		Message      sarifMessage      `json:"message"`
		Locations    []sarifLocation   `json:"locations,omitempty"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

func (ds Diagnostics) sarif(version string) sarifLog {
	rules := Rules()
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: make([]sarifResult, 0, len(ds))}
	run.Tool.Driver = sarifDriver{Name: "gitdag", Version: version}
	for _, r := range rules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{r.ID, sarifMessage{r.Summary}})
	}
	prints := ds.fingerprints()
	for i, d := range ds {
		id := d.Rule()
		result := sarifResult{
			RuleID: id, RuleIndex: slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id }),
			Level: d.Severity, Message: sarifMessage{d.full()},
			Fingerprints: map[string]string{"gitdag/v1": prints[i]},
		}
		if d.File != "" {
			at := sarifPhysical{Artifact: sarifArtifact{(&url.URL{Path: d.File}).String()}}
			if d.Line > 0 {
				at.Region = &sarifRegion{d.Line, d.Column}
			}
			result.Locations = []sarifLocation{{at}}
		}
		run.Results = append(run.Results, result)
	}
	return sarifLog{
		Schema:  "https://json.schemastore.org/sarif-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	}
}
