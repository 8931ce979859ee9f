package local

import (
	"bytes"
	"strings"

	"gopkg.in/yaml.v3"

	"gitdag/engine/params"
)

// YAML returns parameters as people read them, each line behind the indent,
// with a line end.
func YAML(m *params.Map, indent string) string {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	// Neither can fail: the node is well formed and the buffer takes all.
	_ = e.Encode(node(m))
	_ = e.Close()
	text := strings.TrimRight(b.String(), "\n")
	return indent + strings.ReplaceAll(text, "\n", "\n"+indent) + "\n"
}

func node(v any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch v := v.(type) {
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case bool:
		n.Tag, n.Value = "!!bool", "false"
		if v {
			n.Value = "true"
		}
	case params.Number:
		n.Tag, n.Value = "!!float", string(v)
		if v.IsInteger() {
			n.Tag = "!!int"
		}
	case *params.Map:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		if v.Len() == 0 {
			n.Style = yaml.FlowStyle
		}
		for key, value := range v.All() {
			n.Content = append(n.Content, node(key), node(value))
		}
	case params.List:
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, item := range v {
			n.Content = append(n.Content, node(item))
		}
	default:
		text, _ := params.Text(v)
		n.SetString(text)
	}
	return n
}
