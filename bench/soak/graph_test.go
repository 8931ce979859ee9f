package soak

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"gitdag/bench/agenttest"
)

// graph writes random workflows whose end is known.
type graph struct {
	random *rand.Rand
	marks  *agenttest.Marks
	out    strings.Builder
	names  int
}

// workflow returns the text of a workflow that succeeds, or fails.
func (g *graph) workflow(success bool) string {
	g.out.Reset()
	g.names = 0
	for range 2 + g.random.IntN(4) {
		g.task(0, "", 3)
	}
	if !success {
		g.line(0, "+fails: {fail>: on purpose}")
	}
	return g.out.String()
}

func (g *graph) line(depth int, format string, args ...any) {
	g.out.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&g.out, format+"\n", args...)
}

// task writes one task, with what is below it.
func (g *graph) task(depth int, prefix string, levels int) {
	g.names++
	name := fmt.Sprintf("+%st%d", prefix, g.names)
	if levels == 0 || g.random.IntN(3) == 0 {
		g.line(depth, "%s: %s", name, g.leaf())
		return
	}
	g.line(depth, "%s:", name)
	children := 1 + g.random.IntN(4)
	switch g.random.IntN(6) {
	case 0:
		g.line(depth+1, "_parallel: true")
	case 1:
		g.line(depth+1, "_parallel: {limit: %d}", 1+g.random.IntN(3))
	case 2:
		g.line(depth+1, "loop>: %d", g.random.IntN(4))
		g.line(depth+1, "_parallel: %v", g.random.IntN(2) == 0)
		g.line(depth+1, "_do:")
		depth++
	case 3:
		g.line(depth+1, "for_each>: {x: [1, 2], y: [a, b]}")
		g.line(depth+1, "_do:")
		depth++
	case 4:
		g.line(depth+1, "if>: ${%d %% 2 == 0}", g.random.IntN(10))
		g.line(depth+1, "_do:")
		depth++
	}
	for range children {
		g.task(depth+1, "", levels-1)
	}
}

// leaf is a task without children.
func (g *graph) leaf() string {
	switch g.random.IntN(5) {
	case 0:
		return "{echo>: '${session_time} ${task_name}'}"
	case 1:
		return "{wait>: 0s}"
	}
	return g.marks.Task(float64(g.random.IntN(60)) / 1000)
}
