package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// label is a task in words, without what it waits for.
func (t *drawn) label(between string) string {
	text := t.name
	if t.what != "" {
		text += between + t.what
	}
	if len(t.notes) > 0 {
		text += between + "(" + strings.Join(t.notes, ", ") + ")"
	}
	return text
}

// writeTree writes a tree for a terminal. What a task waits for stands behind
// it.
func writeTree(w io.Writer, root *drawn) error {
	var b strings.Builder
	var walk func(t *drawn, first, rest string)
	walk = func(t *drawn, first, rest string) {
		b.WriteString(first + t.label("  ") + waitsFor(t.after) + "\n")
		for i, kid := range t.kids {
			if i < len(t.kids)-1 {
				walk(kid, rest+"├── ", rest+"│   ")
			} else {
				walk(kid, rest+"└── ", rest+"    ")
			}
		}
	}
	walk(root, "", "")
	_, err := io.WriteString(w, b.String())
	return err
}

func waitsFor(tasks []*drawn) string {
	const most = 4
	if len(tasks) == 0 {
		return ""
	}
	var names []string
	for _, t := range tasks {
		names = append(names, t.name)
	}
	if n := len(names); n > most {
		names = append(names[:most-2:most-2], fmt.Sprintf("%d more", n-most+1), names[n-1])
	}
	return "  ← " + strings.Join(names, ", ")
}

// arrow leads from a task to one that waits for it. Where many wait for the
// same many, a joint stands between them.
type arrow struct {
	from, to           *drawn
	fromJoint, toJoint string // instead of a task
}

// arrows lists those between the children of a task, and the joints.
func (t *drawn) arrows() (list []arrow, joints []string) {
	const few = 4
	sharing := map[string][]*drawn{}
	var order []string
	for _, kid := range t.kids {
		var key strings.Builder
		for _, up := range kid.after {
			key.WriteString(strconv.Itoa(up.number) + " ")
		}
		if sharing[key.String()] == nil {
			order = append(order, key.String())
		}
		sharing[key.String()] = append(sharing[key.String()], kid)
	}
	for _, key := range order {
		kids := sharing[key]
		ups := kids[0].after
		if len(ups)*len(kids) <= few*few || len(ups) < few || len(kids) < few {
			for _, kid := range kids {
				for _, up := range ups {
					list = append(list, arrow{from: up, to: kid})
				}
			}
			continue
		}
		joint := fmt.Sprintf("j%d", kids[0].number)
		joints = append(joints, joint)
		for _, up := range ups {
			list = append(list, arrow{from: up, toJoint: joint})
		}
		for _, kid := range kids {
			list = append(list, arrow{fromJoint: joint, to: kid})
		}
	}
	return list, joints
}

var mermaidText = strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "`", "#96;")

// writeMermaid writes a Mermaid flowchart: groups are subgraphs.
func writeMermaid(w io.Writer, root *drawn) error {
	var b, arrows, maybe strings.Builder
	id := func(t *drawn, joint string) string {
		if t == nil {
			return joint
		}
		return fmt.Sprintf("t%d", t.number)
	}
	var walk func(t *drawn, indent string)
	walk = func(t *drawn, indent string) {
		lines := strings.Split(t.label("\n"), "\n")
		for i := range lines {
			lines[i] = mermaidText.Replace(lines[i])
		}
		label := strings.Join(lines, "<br/>")
		if t.maybe {
			fmt.Fprintf(&maybe, "  class t%d maybe\n", t.number)
		}
		if len(t.kids) == 0 {
			fmt.Fprintf(&b, "%st%d[\"%s\"]\n", indent, t.number, label)
			return
		}
		fmt.Fprintf(&b, "%ssubgraph t%d [\"%s\"]\n", indent, t.number, label)
		for _, kid := range t.kids {
			walk(kid, indent+"  ")
		}
		list, joints := t.arrows()
		for _, joint := range joints {
			fmt.Fprintf(&b, "%s  %s(( ))\n", indent, joint)
		}
		fmt.Fprintf(&b, "%send\n", indent)
		for _, a := range list {
			fmt.Fprintf(&arrows, "  %s --> %s\n", id(a.from, a.fromJoint), id(a.to, a.toJoint))
		}
	}
	walk(root, "  ")
	if maybe.Len() > 0 {
		maybe.WriteString("  classDef maybe stroke-dasharray: 5 5\n")
	}
	_, err := io.WriteString(w, "flowchart TD\n"+b.String()+arrows.String()+maybe.String())
	return err
}

var dotText = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// writeDot writes a graph for Graphviz: groups are clusters, between which an
// arrow goes by a task in each.
func writeDot(w io.Writer, root *drawn) error {
	var b, arrows strings.Builder
	fmt.Fprintf(&b, "digraph \"%s\" {\n  compound=true\n  node [shape=box, style=rounded]\n", dotText.Replace(root.name))
	var walk func(t *drawn, indent string)
	walk = func(t *drawn, indent string) {
		label := dotText.Replace(t.label("\n"))
		if len(t.kids) == 0 {
			style := ""
			if t.maybe {
				style = `, style="rounded,dashed"`
			}
			fmt.Fprintf(&b, "%st%d [label=\"%s\"%s]\n", indent, t.number, label, style)
			return
		}
		fmt.Fprintf(&b, "%ssubgraph cluster_%d {\n%s  label=\"%s\"\n", indent, t.number, indent, label)
		if t.maybe {
			fmt.Fprintf(&b, "%s  style=dashed\n", indent)
		}
		for _, kid := range t.kids {
			walk(kid, indent+"  ")
		}
		list, joints := t.arrows()
		for _, joint := range joints {
			fmt.Fprintf(&b, "%s  %s [shape=point]\n", indent, joint)
		}
		fmt.Fprintf(&b, "%s}\n", indent)
		for _, a := range list {
			arrows.WriteString(a.dot())
		}
	}
	walk(root, "  ")
	_, err := io.WriteString(w, b.String()+arrows.String()+"}\n")
	return err
}

// dot is the arrow between a leaf of each side, cut off at the clusters'
// borders.
func (a arrow) dot() string {
	tail, head := a.fromJoint, a.toJoint
	var cuts []string
	if a.from != nil {
		leaf := a.from
		for len(leaf.kids) > 0 {
			leaf = leaf.kids[len(leaf.kids)-1]
		}
		tail = fmt.Sprintf("t%d", leaf.number)
		if leaf != a.from {
			cuts = append(cuts, fmt.Sprintf("ltail=cluster_%d", a.from.number))
		}
	}
	if a.to != nil {
		leaf := a.to
		for len(leaf.kids) > 0 {
			leaf = leaf.kids[0]
		}
		head = fmt.Sprintf("t%d", leaf.number)
		if leaf != a.to {
			cuts = append(cuts, fmt.Sprintf("lhead=cluster_%d", a.to.number))
		}
	}
	if len(cuts) == 0 {
		return fmt.Sprintf("  %s -> %s\n", tail, head)
	}
	return fmt.Sprintf("  %s -> %s [%s]\n", tail, head, strings.Join(cuts, ", "))
}
