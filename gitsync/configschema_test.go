package gitsync

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

func configSchema(t *testing.T) (text []byte, s *jsonschema.Schema) {
	t.Helper()
	text, err := ConfigSchema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(configFile, doc); err != nil {
		t.Fatal(err)
	}
	if s, err = c.Compile(configFile); err != nil {
		t.Fatal(err)
	}
	return text, s
}

// The schema takes what the reader takes, and refuses what it refuses as far as
// a schema can tell.
func TestConfigSchemaAgreesWithTheReader(t *testing.T) {
	_, s := configSchema(t)
	for text, valid := range map[string]bool{
		"":                     true,
		"projects: []":         true,
		"ignore: [a, 'b/*/c']": true,
		"projects:\n  - {path: a/b, name: team/b}\n  - {path: .}\n": true,
		"projets: []":                               false,
		"projects: {a: b}":                          false,
		"projects: [a]":                             false,
		"projects:\n  - {pat: x}":                   false,
		"projects:\n  - {name: x}":                  false,
		"projects:\n  - {path: ''}":                 false,
		"projects:\n  - {path: /a}":                 false,
		"projects:\n  - {path: a, name: 1st}":       false,
		"projects:\n  - {path: a, name: '+x'}":      false,
		"projects:\n  - {path: [a]}":                false,
		"ignore: a":                                 false,
		"ignore: [[a]]":                             false,
		"ignore: ['']":                              false,
		"- a":                                       false,
		"projects:\n  - {path: a, nmae: b}":         false,
		"projects: []\nignore: [a]\nparams: {a: b}": false,
	} {
		var doc any
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		if _, err := parseConfig([]byte(text)); (err == nil) != valid {
			t.Errorf("reader: got %v for %q, want valid %v", err, text, valid)
		}
		if err := s.Validate(doc); (err == nil) != valid {
			t.Errorf("schema: got %v for %q, want valid %v", err, text, valid)
		}
	}
}

// The reader names the keys that it knows: the schema has the same.
func TestConfigSchemaHasTheReadersKeys(t *testing.T) {
	_, s := configSchema(t)
	for text, known := range map[string]map[string]*jsonschema.Schema{
		"bogus: x":             s.Properties,
		"projects: [bogus: x]": s.Properties["projects"].Items2020.Properties,
	} {
		_, err := parseConfig([]byte(text))
		_, list, ok := strings.Cut(err.Error(), "known are ")
		if !ok {
			t.Fatalf("got %v", err)
		}
		want := strings.Split(list, " and ")
		slices.Sort(want)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(known))); diff != "" {
			t.Errorf("keys (-reader +schema):\n%s", diff)
		}
	}
}

func TestConfigSchemaGolden(t *testing.T) {
	text, _ := configSchema(t)
	want, err := os.ReadFile("../testdata/schema/gitdag.yaml.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("schema (-want +got), if it is meant so: gitdag schema gitdag.yaml writes the file:\n%s", diff)
	}
}
