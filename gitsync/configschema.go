package gitsync

import (
	"bytes"
	"encoding/json"
)

// ConfigSchema returns the JSON Schema (2020-12) of gitdag.yaml, for editors.
func ConfigSchema() ([]byte, error) {
	type schema = map[string]any
	path := schema{"type": "string", "minLength": 1, "pattern": `^[^/]`}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(schema{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "gitdag.yaml in the root of a repository",
		"type":                 []string{"object", "null"},
		"additionalProperties": false,
		"properties": schema{
			"projects": schema{
				"description": "Folders that are projects, with or without a .dig file directly in them.",
				"type":        "array",
				"items": schema{
					"type":                 "object",
					"required":             []string{"path"},
					"additionalProperties": false,
					"properties": schema{
						"path": describedAs(path, "The folder, from the root of the repository."),
						"name": schema{
							"description": "What the project is called; its path if that is left out.",
							"type":        "string", "maxLength": 255, "pattern": `^$|^[^0-9+^@/\\:*?"<>|]`,
						},
					},
				},
			},
			"ignore": schema{
				"description": "Folders that are left out with all in them; * stands for any name or part of one.",
				"type":        "array",
				"items":       path,
			},
		},
	})
	return text.Bytes(), err
}

func describedAs(schema map[string]any, description string) map[string]any {
	described := map[string]any{"description": description}
	for key, value := range schema {
		described[key] = value
	}
	return described
}
