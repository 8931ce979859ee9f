package dig

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"gitdag/engine/params"
)

// mappingBuilder collects the entries of one mapping in the order in which they are written.
type mappingBuilder struct {
	*converter
	depth  int
	m      *params.Map
	spots  *spots
	own    map[string]int // the texts of the keys written here, with their lines
	weight int64
	height int
}

func (c *converter) mapping(n *yaml.Node, depth int) converted {
	b := mappingBuilder{
		converter: c, depth: depth,
		m:     params.NewMap(len(n.Content) / 2),
		spots: &spots{at: c.place(n)},
		own:   make(map[string]int, len(n.Content)/2),
	}
	c.loader.places[b.m] = b.spots
	for i := 0; i+1 < len(n.Content); i += 2 {
		b.entry(n.Content[i], n.Content[i+1])
		if c.tooBig(n.Content[i], b.weight) {
			return converted{}
		}
	}
	c.loader.work += valueWeight
	return converted{value: b.m, weight: b.weight + valueWeight, height: b.height + 1}
}

func (b *mappingBuilder) entry(key, value *yaml.Node) {
	if explicitTag(key) == includeTag {
		b.include(key, value)
		return
	}
	written := key
	if key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	if key.Kind == yaml.ScalarNode && b.repeated(written, key.Value) {
		return
	}
	if isMerge(key) {
		b.mergeKey(value)
		return
	}
	name, raw, ok := b.key(written)
	v := b.value(value, b.depth+1)
	if !ok {
		return
	}
	b.grow(v.weight+int64(len(name)), v.height)
	b.m.Set(name, v.value)
	b.spots.set(keySpot{name: name, raw: raw, key: b.place(written), value: b.place(value)})
}

// repeated tells, and reports, that a key of that text was written before (L2).
func (b *mappingBuilder) repeated(key *yaml.Node, text string) bool {
	if line, ok := b.own[text]; ok {
		b.errorf(key, text, fmt.Sprintf("it is first written on line %d", line), "duplicated key %q", text)
		return true
	}
	b.own[text] = key.Line
	return false
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && key.Style == 0
}

// grow counts what is put into the mapping.
func (b *mappingBuilder) grow(weight int64, height int) {
	b.weight += weight
	b.height = max(b.height, height)
}

// key returns the text of a key and, where that differs, how it is written.
func (c *converter) key(n *yaml.Node) (name, raw string, ok bool) {
	at := n
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		c.errorf(at, "", "", "a key must be a text, not a mapping or a list")
		return "", "", false
	}
	v, err := resolve(n, explicitTag(n))
	if err != nil {
		c.errorf(at, n.Value, "", "%s", err)
		return "", "", false
	}
	name, ok = keyText(v)
	if !ok {
		c.errorf(at, n.Value, "put it in quotes if it is meant as a text", "a key must not be null")
		return "", "", false
	}
	if name != n.Value {
		raw = n.Value
	}
	return name, raw, true
}

// mergeKey takes over the entries of the mapping, or of the list of mappings, that a << key refers to. What is already
// there stays, what the mapping itself writes later wins.
func (b *mappingBuilder) mergeKey(value *yaml.Node) {
	target := value
	if target.Kind == yaml.AliasNode {
		target = target.Alias
	}
	if target.Kind == yaml.SequenceNode && explicitTag(target) == "" {
		for _, item := range target.Content {
			b.mergeFrom(item)
		}
		return
	}
	b.mergeFrom(value)
}

func (b *mappingBuilder) mergeFrom(value *yaml.Node) {
	v := b.value(value, b.depth)
	from, ok := v.value.(*params.Map)
	if !ok {
		if v.weight > 0 { // else it has been reported
			b.errorf(value, "<<", "", "<< takes a mapping or a list of mappings")
		}
		return
	}
	b.grow(v.weight, v.height-1)
	b.loader.work += int64(from.Len()) * copyWeight
	for key, item := range from.All() {
		if b.m.Has(key) {
			continue
		}
		b.m.Set(key, item)
		b.loader.places.copyKey(b.m, from, key)
	}
}

// include splices the entries of another file in at this place: they merge into what stands before, and what is
// written after them replaces them (L3).
func (b *mappingBuilder) include(key, value *yaml.Node) {
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	if value.Kind != yaml.ScalarNode || value.Value == "" {
		b.errorf(value, includeTag, "write `!include : FILE`", "!include needs the path of a file")
		return
	}
	doc := b.loader.include(b.converter, value)
	if doc == nil || doc.failed {
		b.doc.failed, b.doc.incomplete = true, true
		return
	}
	if b.depth+doc.size.height > maxDepth {
		b.errorf(key, includeTag, "", "nested more than %d levels deep", maxDepth)
		return
	}
	b.grow(doc.size.weight, doc.size.height-1)
	places := b.loader.places
	b.loader.work += int64(doc.m.Len()) * copyWeight
	for name, v := range doc.m.All() {
		upper, ok := v.(*params.Map)
		if old, _ := b.m.Lookup(name); ok && old != nil {
			if lower, isMap := old.(*params.Map); isMap {
				v = places.merge(lower, upper, &b.loader.work)
			}
		}
		b.m.Set(name, v)
		places.copyKey(b.m, doc.m, name)
	}
}
