package dig

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"gitdag/engine/params"
)

// What a workflow may expand to. Aliases, merges and includes share what they refer to, so a bomb is cheap to read,
// but not for whoever walks the result: its size as if written out is what counts.
const (
	// maxDepth is how deep mappings and lists may nest.
	maxDepth = 200
	// maxWeight bounds the bytes of all keys and texts and valueWeight for each value. A file of maxBytes without
	// aliases stays below it.
	maxWeight   = 8 << 20
	valueWeight = 8
	// copyWeight is what an entry costs that a merge or an include copies.
	copyWeight = 64
)

// converted is a value with its size.
type converted struct {
	value  any
	weight int64
	height int
}

// converter makes parameters of one file's YAML tree.
type converter struct {
	loader *loader
	doc    *document
	done   map[*yaml.Node]converted // anchored values
	open   map[*yaml.Node]bool      // anchors whose value is being read
}

func (c *converter) place(n *yaml.Node) place {
	return place{file: c.doc.path, line: int32(n.Line), column: int32(n.Column)}
}

func (c *converter) errorf(n *yaml.Node, key, hint, format string, args ...any) {
	c.doc.failed = true
	c.loader.report(Error, c.place(n), key, fmt.Sprintf(format, args...), hint)
}

// value converts n; what is wrong with it is reported, and null stands in its place.
func (c *converter) value(n *yaml.Node, depth int) converted {
	if depth > maxDepth {
		c.errorf(n, "", "", "nested more than %d levels deep", maxDepth)
		return converted{}
	}
	if n.Kind == yaml.AliasNode {
		return c.alias(n, depth)
	}
	if n.Anchor == "" {
		return c.fresh(n, depth)
	}
	if v, ok := c.done[n]; ok {
		return v
	}
	c.open[n] = true
	v := c.fresh(n, depth)
	delete(c.open, n)
	c.done[n] = v
	return v
}

func (c *converter) alias(n *yaml.Node, depth int) converted {
	if c.open[n.Alias] {
		c.errorf(n, "", "", "the value of anchor %q contains itself", n.Value)
		return converted{}
	}
	v := c.value(n.Alias, depth)
	if depth+v.height > maxDepth {
		c.errorf(n, "", "", "nested more than %d levels deep", maxDepth)
		return converted{}
	}
	return v
}

func (c *converter) fresh(n *yaml.Node, depth int) converted {
	tag := explicitTag(n)
	if tag == includeTag {
		c.errorf(n, "", "write it as a key of the mapping: `!include : "+n.Value+"`", "!include works only as a key")
		return converted{value: params.NewMap(0)} // whatever it is the value of, it is no further error
	}
	switch {
	case n.Kind == yaml.ScalarNode:
		return c.scalar(n, tag)
	case n.Kind == yaml.SequenceNode && (tag == "" || tag == "!!seq"):
		return c.sequence(n, depth)
	case n.Kind == yaml.SequenceNode && tag == "!!omap":
		return c.orderedMap(n, depth)
	case n.Kind == yaml.MappingNode && (tag == "" || tag == "!!map"):
		return c.mapping(n, depth)
	case n.Kind == yaml.MappingNode && tag == "!!set":
		return c.set(n)
	}
	c.unknownTag(n, tag)
	return converted{}
}

const includeTag = "!include"

// explicitTag is the tag that the author wrote, in its short form.
func explicitTag(n *yaml.Node) string {
	if n.Style&yaml.TaggedStyle == 0 {
		return ""
	}
	return n.Tag
}

func (c *converter) unknownTag(n *yaml.Node, tag string) {
	hint := "a text that begins with ! needs quotes"
	if strings.HasPrefix(tag, "!!") {
		hint = ""
	}
	c.errorf(n, "", hint, "unknown tag %s", tag)
}

func (c *converter) scalar(n *yaml.Node, tag string) converted {
	v, err := resolve(n, tag)
	if err != nil {
		c.errorf(n, "", "", "%s", err)
		return converted{}
	}
	return c.sized(n, v, int64(len(n.Value)), 0)
}

// resolve reads a scalar node. Only a plain one without a tag is more than a text.
func resolve(n *yaml.Node, tag string) (any, error) {
	if tag != "" {
		return taggedScalar(tag, n.Value)
	}
	if n.Style != 0 {
		return params.Template(n.Value), nil
	}
	return plainScalar(n.Value)
}

// sized closes a value of the given extra weight and counts it.
func (c *converter) sized(n *yaml.Node, v any, weight int64, height int) converted {
	c.loader.work += valueWeight + weight
	return converted{value: v, weight: valueWeight + weight, height: height}
}

// tooBig tells, and reports once, that what n contains has grown beyond the limits.
func (c *converter) tooBig(n *yaml.Node, weight int64) bool {
	if c.loader.exhausted {
		return true
	}
	if weight <= maxWeight && c.loader.work <= 2*maxWeight {
		return false
	}
	c.loader.exhausted = true
	c.errorf(n, "", "", "aliases, merges and includes expand to more than %d MiB", maxWeight>>20)
	return true
}

func (c *converter) sequence(n *yaml.Node, depth int) converted {
	list := make(params.List, 0, len(n.Content))
	var weight int64
	height := 0
	for _, item := range n.Content {
		v := c.value(item, depth+1)
		weight += v.weight
		height = max(height, v.height)
		if c.tooBig(item, weight) {
			return converted{}
		}
		list = append(list, v.value)
	}
	c.loader.work += valueWeight
	return converted{value: list, weight: weight + valueWeight, height: height + 1}
}

// set makes a list of a set's keys.
func (c *converter) set(n *yaml.Node) converted {
	list := make(params.List, 0, len(n.Content)/2)
	var weight int64
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if v, err := resolve(value, explicitTag(value)); value.Kind != yaml.ScalarNode || v != nil || err != nil {
			c.errorf(value, "", "", "a !!set has keys only")
			return converted{}
		}
		text, _, ok := c.key(key)
		if !ok {
			return converted{}
		}
		list = append(list, params.Template(text))
		weight += valueWeight + int64(len(text))
	}
	return c.sized(n, list, weight, 1)
}

// orderedMap makes a mapping of a list of mappings with one key each.
func (c *converter) orderedMap(n *yaml.Node, depth int) converted {
	flat := *n
	flat.Kind, flat.Anchor, flat.Content = yaml.MappingNode, "", nil
	for _, item := range n.Content {
		if item.Kind != yaml.MappingNode || len(item.Content) != 2 {
			c.errorf(item, "", "", "an !!omap is a list of mappings with one key each")
			return converted{}
		}
		flat.Content = append(flat.Content, item.Content...)
	}
	return c.mapping(&flat, depth)
}
