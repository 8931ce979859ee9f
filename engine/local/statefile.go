package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"gopkg.in/yaml.v3"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// A state file is Digdag's (language.md 9.2): YAML, whose parameters are
// written in its JSON form. Subtasks are in the encoded form, since some of
// their texts are data and some templates; Digdag's own files read as templates
// there. Results are data.

// encodeState returns the content of the file of a task that has succeeded.
func encodeState(fullName string, r *operator.Result) []byte {
	if r == nil {
		r = &operator.Result{}
	}
	b := []byte("fullName: ")
	b = params.AppendJSON(b, fullName)
	b = append(b, "\nstate: \"success\"\nresult:\n  subtaskConfig: "...)
	b = append(b, encodedMap(r.Subtasks)...)
	b = append(b, "\n  exportParams: "...)
	b = appendMap(b, r.Export)
	b = append(b, "\n  resetStoreParams: "...)
	reset := make(params.List, len(r.Reset))
	for i, path := range r.Reset {
		reset[i] = path
	}
	b = params.AppendJSON(b, reset)
	b = append(b, "\n  storeParams: "...)
	b = appendMap(b, r.Store)
	return append(b, "\n  report: {\"inputs\":[],\"outputs\":[]}\n"...)
}

func encodedMap(m *params.Map) []byte {
	if m.Len() == 0 {
		return []byte("{}")
	}
	return params.Encode(m)
}

func appendMap(b []byte, m *params.Map) []byte {
	if m.Len() == 0 {
		return append(b, "{}"...)
	}
	return params.AppendJSON(b, m)
}

// decodeState reads the file of a task. What is not a state of that task's
// success is an error.
func decodeState(data []byte, fullName string) (*operator.Result, error) {
	var doc struct {
		FullName string `yaml:"fullName"`
		State    string
		Result   struct {
			Subtasks yaml.Node `yaml:"subtaskConfig"`
			Export   yaml.Node `yaml:"exportParams"`
			Reset    yaml.Node `yaml:"resetStoreParams"`
			Store    yaml.Node `yaml:"storeParams"`
		}
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if doc.FullName != fullName || !strings.EqualFold(doc.State, "success") {
		return nil, fmt.Errorf("it is about task %q in state %q", doc.FullName, doc.State)
	}
	r := &operator.Result{}
	var err error
	read := func(n *yaml.Node, parse func([]byte) (any, error)) *params.Map {
		m, readErr := readMap(n, parse)
		err = errors.Join(err, readErr)
		return m
	}
	r.Subtasks = read(&doc.Result.Subtasks, params.Decode)
	r.Export = read(&doc.Result.Export, params.Parse)
	r.Store = read(&doc.Result.Store, params.Parse)
	for _, n := range doc.Result.Reset.Content {
		if n.Kind != yaml.ScalarNode {
			err = errors.Join(err, errors.New("resetStoreParams must be a list of names"))
			break
		}
		r.Reset = append(r.Reset, n.Value)
	}
	return r, err
}

func readMap(n *yaml.Node, parse func([]byte) (any, error)) (*params.Map, error) {
	if n.Kind == 0 {
		return nil, nil
	}
	text, err := appendNode(nil, n)
	if err != nil {
		return nil, err
	}
	v, err := parse(text)
	if err != nil {
		return nil, err
	}
	switch m := v.(type) {
	case nil:
		return nil, nil
	case *params.Map:
		if m.Len() == 0 {
			return nil, nil
		}
		return m, nil
	}
	return nil, errors.New("parameters must be a mapping")
}

// appendNode writes a YAML value as JSON.
func appendNode(b []byte, n *yaml.Node) ([]byte, error) {
	var err error
	switch n.Kind {
	case yaml.MappingNode:
		b = append(b, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(params.AppendJSON(b, n.Content[i].Value), ':')
			if b, err = appendNode(b, n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, item := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendNode(b, item); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case yaml.ScalarNode:
		return appendScalar(b, n), nil
	}
	return nil, fmt.Errorf("line %d: neither anchors nor aliases are expected", n.Line)
}

func appendScalar(b []byte, n *yaml.Node) []byte {
	switch n.ShortTag() {
	case "!!null":
		return append(b, "null"...)
	case "!!bool":
		if strings.EqualFold(n.Value, "true") || strings.EqualFold(n.Value, "false") {
			return append(b, strings.ToLower(n.Value)...)
		}
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return append(b, n.Value...)
		}
		if i, ok := new(big.Int).SetString(n.Value, 0); ok {
			return i.Append(b, 10)
		}
	}
	return params.AppendJSON(b, n.Value)
}
