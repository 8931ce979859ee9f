package api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// The document of the API is made of the routes and of the wire types, so that
// it says what they do.

// anyObject stands for a JSON object of any content, binary for bytes.
type (
	anyObject struct{}
	binary    struct{}
)

// document is the root of an OpenAPI document, as much of it as we use.
type document struct {
	OpenAPI    string                                   `json:"openapi"`
	Info       map[string]string                        `json:"info"`
	Paths      map[string]map[string]*documentOperation `json:"paths"`
	Components map[string]any                           `json:"components"`
	Security   []map[string][]string                    `json:"security"`
}

type documentOperation struct {
	ID         string                      `json:"operationId"`
	Tags       []string                    `json:"tags"`
	Summary    string                      `json:"summary"`
	Parameters []documentParameter         `json:"parameters,omitempty"`
	Body       *documentBody               `json:"requestBody,omitempty"`
	Responses  map[string]documentResponse `json:"responses"`
	// Security is empty, not absent, for what needs no credentials.
	Security *[]map[string][]string `json:"security,omitempty"`
}

type documentParameter struct {
	Name        string `json:"name"`
	In          string `json:"in"`
	Description string `json:"description,omitempty"`
	Required    bool   `json:"required,omitempty"`
	Schema      schema `json:"schema"`
}

type documentBody struct {
	Required bool                     `json:"required"`
	Content  map[string]documentMedia `json:"content"`
}

type documentResponse struct {
	Description string                   `json:"description"`
	Content     map[string]documentMedia `json:"content,omitempty"`
}

type documentMedia struct {
	Schema schema `json:"schema"`
}

// documentRoutes serve the document.
func (s *server) documentRoutes() []route {
	show := &operation{do: s.showDocument, summary: "This document", answer: anyObject{}}
	routes := []route{{path: "/api/openapi.json", get: show}}
	if s.Swagger {
		routes = append(routes, route{path: "/api/swagger.json", get: show})
	}
	return routes
}

func (s *server) showDocument(w http.ResponseWriter, r *request) error {
	return writeJSON(w, r.Request, http.StatusOK, s.described())
}

// document describes the routes of this server.
func (s *server) document() *document {
	schemas := schemas{}
	d := &document{
		OpenAPI: "3.1.0",
		Info: map[string]string{
			"title": "gitdag", "version": s.Version,
			"description": "The REST interface of Digdag's server, and what gitdag adds to it.",
		},
		Paths: map[string]map[string]*documentOperation{},
		Components: map[string]any{
			"schemas": schemas,
			"securitySchemes": map[string]any{
				"basic":  map[string]string{"type": "http", "scheme": "basic"},
				"bearer": map[string]string{"type": "http", "scheme": "bearer"},
			},
		},
		Security: []map[string][]string{{"basic": {}}, {"bearer": {}}},
	}
	for _, to := range s.routes() {
		operations := map[string]*documentOperation{}
		for method, o := range to.operations() {
			operations[strings.ToLower(method)] = o.describe(method, to.path, schemas)
		}
		d.Paths[to.path] = operations
	}
	return d
}

// describe describes an operation and adds the schemas that it needs.
func (o *operation) describe(method, path string, schemas schemas) *documentOperation {
	known := parameters()
	out := &documentOperation{
		ID: operationID(method, path), Tags: []string{tag(path)}, Summary: o.summary,
		Responses: map[string]documentResponse{
			"default": {"An error", map[string]documentMedia{jsonType: {schemas.of(Error{}, answering)}}},
		},
	}
	for _, segment := range segments(path) {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			out.Parameters = append(out.Parameters, documentParameter{Name: name, In: "path", Required: true, Schema: pathSchema(name)})
		}
	}
	for name := range strings.FieldsSeq(o.query) {
		p := known[name]
		out.Parameters = append(out.Parameters, documentParameter{Name: name, In: "query", Description: p.text, Schema: p.schema})
	}
	if o.body != nil {
		kind := jsonType
		if o.bodyKind != "" {
			kind = o.bodyKind
		}
		out.Body = &documentBody{!o.bare, map[string]documentMedia{kind: {schemas.of(o.body, asking)}}}
	}
	status := http.StatusOK
	if o.status != 0 {
		status = o.status
	}
	answer := o.answer
	if answer == nil {
		answer = binary{}
	}
	out.Responses[strconv.Itoa(status)] = documentResponse{"Success", map[string]documentMedia{mediaType(o.answers()): {schemas.of(answer, answering)}}}
	if o.conflict != nil {
		out.Responses["409"] = documentResponse{"What is there already", map[string]documentMedia{jsonType: {schemas.of(o.conflict, answering)}}}
	}
	if open(&http.Request{Method: method, URL: &url.URL{Path: path}}) {
		out.Security = &[]map[string][]string{}
	}
	return out
}

func mediaType(kind string) string {
	name, _, _ := strings.Cut(kind, ";")
	return name
}

// tag is the group of a path: what follows /api/.
func tag(path string) string {
	parts := segments(path)
	if parts[1] != "api" {
		return "health"
	}
	return parts[2]
}

// operationID makes a name of a method and a path.
func operationID(method, path string) string {
	var b strings.Builder
	b.WriteString(strings.ToLower(method))
	upper := true
	for _, c := range strings.TrimPrefix(path, "/api") {
		switch {
		case strings.ContainsRune("/{}_.", c):
			upper = true
		case upper:
			b.WriteRune(unicode.ToUpper(c))
			upper = false
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func pathSchema(name string) schema {
	if name == "id" {
		return schema{"type": "integer", "minimum": 0}
	}
	return schema{"type": "string"}
}
