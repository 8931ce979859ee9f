package api

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// described is the document as a client reads it.
type described struct {
	t    *testing.T
	root map[string]any
}

func describe(t *testing.T) *described {
	t.Helper()
	o := options(ErrNotFound, io.Discard, "")
	o.Swagger = true
	answer := ask(NewAdmin(o), "GET", "/api/openapi.json")
	d := &described{t: t}
	if err := json.Unmarshal(answer.Body.Bytes(), &d.root); err != nil {
		t.Fatal(err)
	}
	return d
}

// at returns what stands at a path of keys; nil for nothing.
func (d *described) at(keys ...string) map[string]any {
	node := d.root
	for _, key := range keys {
		node, _ = node[key].(map[string]any)
	}
	return node
}

// Every route is in the document and nothing else; what the document names, it has.
func TestDocumentHasTheRoutes(t *testing.T) {
	d := describe(t)
	want, got := []string{}, []string{}
	for _, r := range (&server{admin: true, Options: Options{Swagger: true}}).routes() {
		for _, method := range r.methods() {
			if method != http.MethodOptions && method != http.MethodHead {
				want = append(want, method+" "+r.path)
			}
		}
	}
	ids := map[string]bool{}
	used := map[string]bool{}
	for path, operations := range d.at("paths") {
		for method, o := range operations.(map[string]any) {
			o := o.(map[string]any)
			got = append(got, strings.ToUpper(method)+" "+path)
			if id := o["operationId"].(string); ids[id] {
				t.Errorf("%s has the id of another operation: %s", path, id)
			} else {
				ids[id] = true
			}
			if o["summary"] == "" {
				t.Errorf("%s %s has no summary", method, path)
			}
			list, _ := o["parameters"].([]any)
			for _, p := range list {
				p := p.(map[string]any)
				used[p["name"].(string)] = used[p["name"].(string)] || p["in"] == "query"
				if p["in"] == "query" && (p["description"] == nil || p["schema"] == nil) {
					t.Errorf("%s %s: parameter %s is not described", method, path, p["name"])
				}
			}
			for _, segment := range strings.Split(path, "/") {
				if name, ok := strings.CutPrefix(segment, "{"); ok && !hasParameter(list, strings.TrimSuffix(name, "}")) {
					t.Errorf("%s lacks its parameter %s", path, segment)
				}
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("operations (-routes +document):\n%s", diff)
	}
	for name := range parameters() {
		if !used[name] {
			t.Errorf("parameter %s is described and no operation takes it", name)
		}
	}
	text, _ := json.Marshal(d.root)
	for _, ref := range regexp.MustCompile(`#/components/schemas/(\w+)`).FindAllStringSubmatch(string(text), -1) {
		if d.at("components", "schemas", ref[1]) == nil {
			t.Errorf("%s leads nowhere", ref[0])
		}
	}
}

func hasParameter(list []any, name string) bool {
	return slices.ContainsFunc(list, func(p any) bool { return p.(map[string]any)["name"] == name })
}

// Digdag's path has the document where it is asked for only, the administrators'
// routes are in theirs.
func TestDocumentOfAServer(t *testing.T) {
	plain := options(nil, io.Discard, "")
	swagger := plain
	swagger.Swagger = true
	for _, c := range []struct {
		h    http.Handler
		path string
		want int
		has  bool
	}{
		{New(plain), "/api/openapi.json", 200, false},
		{NewAdmin(plain), "/api/openapi.json", 200, true},
		{New(plain), "/api/swagger.json", 404, false},
		{New(swagger), "/api/swagger.json", 200, false},
	} {
		answer := ask(c.h, "GET", c.path)
		if answer.Code != c.want || strings.Contains(answer.Body.String(), "/api/admin/") != c.has {
			t.Errorf("%s: got %d, administrators' routes %v, want %d, %v", c.path, answer.Code, !c.has, c.want, c.has)
		}
	}
}

// What the golden files hold is what the document says: every answer, and every
// body that was taken. Each schema of an answer is seen so.
func TestGoldenAnswersFitTheDocument(t *testing.T) {
	d := describe(t)
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "golden", "api", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got %v and %v, want golden files", files, err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for exchange := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
			d.check(filepath.Base(file), exchange, seen)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.at("components", "schemas"))) {
		if !seen[name] {
			t.Errorf("no golden file shows %s", name)
		}
	}
}

// check compares a request and its answer with the document.
func (d *described) check(file, exchange string, seen map[string]bool) {
	d.t.Helper()
	request, answer, _ := strings.Cut(exchange, "\n")
	head, body, _ := strings.Cut(answer, "\n")
	method, target, _ := strings.Cut(request, " ")
	target, sent, _ := strings.Cut(target, " ")
	path, _, _ := strings.Cut(target, "?")
	status, kind, _ := strings.Cut(head, " ")
	if kind != jsonType {
		return
	}
	o := d.operation(method, path)
	if o == nil && status != "404" && status != "405" {
		d.t.Errorf("%s: %s is not in the document", file, request)
	}
	if o == nil {
		return
	}
	responses := o["responses"].(map[string]any)
	response, ok := responses[status].(map[string]any)
	if !ok {
		response = responses["default"].(map[string]any)
	}
	v := validator{d, seen}
	for _, problem := range v.validate("", jsonSchema(response), decoded(d.t, body)) {
		d.t.Errorf("%s: answer to %s: %s", file, request, problem)
	}
	if taken, _ := o["requestBody"].(map[string]any); status == "200" && sent != "" {
		for _, problem := range v.validate("", jsonSchema(taken), decoded(d.t, sent)) {
			d.t.Errorf("%s: body of %s: %s", file, request, problem)
		}
	}
}

func jsonSchema(of map[string]any) map[string]any {
	content, _ := of["content"].(map[string]any)
	media, _ := content[jsonType].(map[string]any)
	found, _ := media["schema"].(map[string]any)
	return found
}

func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// operation finds what the document says of a request; nil for nothing.
func (d *described) operation(method, path string) map[string]any {
	for pattern, operations := range d.at("paths") {
		if _, ok := match(segments(pattern), segments(path)); ok {
			o, _ := operations.(map[string]any)[strings.ToLower(method)].(map[string]any)
			return o
		}
	}
	return nil
}

// validator compares values with schemas, as far as ours go. A key that an object
// is not said to have is a problem.
type validator struct {
	d    *described
	seen map[string]bool
}

func (v validator) validate(at string, s map[string]any, value any) []string {
	if ref, ok := s["$ref"].(string); ok {
		name := ref[strings.LastIndex(ref, "/")+1:]
		v.seen[name] = true
		return v.validate(at, v.d.at("components", "schemas", name), value)
	}
	if list, ok := s["anyOf"].([]any); ok {
		for _, one := range list {
			if len(v.validate(at, one.(map[string]any), value)) == 0 {
				return nil
			}
		}
		return []string{fmt.Sprintf("%s fits nothing of %v: %v", at, list, value)}
	}
	if kinds := kindsOf(s["type"]); len(kinds) > 0 && !slices.Contains(kinds, kindOf(value)) {
		return []string{fmt.Sprintf("%s is %v, want one of %v", at, value, kinds)}
	}
	switch value := value.(type) {
	case map[string]any:
		return v.object(at, s, value)
	case []any:
		var problems []string
		items, _ := s["items"].(map[string]any)
		for i, element := range value {
			problems = append(problems, v.validate(fmt.Sprintf("%s[%d]", at, i), items, element)...)
		}
		return problems
	case string:
		return textFits(at, s, value)
	}
	return nil
}

func (v validator) object(at string, s map[string]any, value map[string]any) (problems []string) {
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := value[name.(string)]; !ok {
			problems = append(problems, fmt.Sprintf("%s lacks %s", at, name))
		}
	}
	properties, closed := s["properties"].(map[string]any)
	for name, element := range value {
		property, ok := properties[name].(map[string]any)
		switch {
		case ok:
			problems = append(problems, v.validate(at+"."+name, property, element)...)
		case closed:
			problems = append(problems, fmt.Sprintf("%s has %s, which is not described", at, name))
		}
	}
	return problems
}

func textFits(at string, s map[string]any, value string) []string {
	if strings.HasPrefix(value, "$") { // stands for what differs from run to run
		return nil
	}
	if pattern, ok := s["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(value) {
		return []string{fmt.Sprintf("%s is %q, want %s", at, value, pattern)}
	}
	if s["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			return []string{fmt.Sprintf("%s is %q, want a time", at, value)}
		}
	}
	return nil
}

func kindsOf(v any) (kinds []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, kind := range v {
			kinds = append(kinds, kind.(string))
		}
	}
	return kinds
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}
