package secret

import "encoding/binary"

// matcher finds all occurrences of patterns in one pass. Most of a text it skips:
// it looks at three bytes, and where no pattern has these among its first six,
// goes four further (the idea of Wu and Manber). Where six bytes begin a pattern
// it follows the automaton of Aho and Corasick, so that the work stays
// proportional to the text whatever the patterns are. It never changes.
type matcher struct {
	nodes []node // the first is the root
	root  [256]int32
	shift *[1 << hashBits]uint8
}

// node is a prefix of patterns. Zero, the root, stands for none.
type node struct {
	child, sibling int32
	// fail is the longest proper suffix that is a prefix too.
	fail  int32
	depth int32
	// ends is the length of the longest pattern that is a suffix of this prefix.
	ends  int32
	label byte
}

const (
	window = MinMasked // no pattern is shorter
	block  = 3
	// hashBits make a table that fits into a processor's cache.
	hashBits = 15
)

func newMatcher(patterns map[string]struct{}) *matcher {
	m := &matcher{nodes: make([]node, 1), shift: new([1 << hashBits]uint8)}
	for i := range m.shift {
		m.shift[i] = window - block + 1
	}
	for p := range patterns {
		m.add(p)
		for i := range window - block + 1 {
			h := hash(uint32(p[i]) | uint32(p[i+1])<<8 | uint32(p[i+2])<<16)
			m.shift[h] = min(m.shift[h], uint8(window-block-i))
		}
	}
	m.link()
	return m
}

// hash places the bytes of a block, the first in the lowest bits.
func hash(bytes uint32) uint32 { return bytes * 0x9e3779b1 >> (32 - hashBits) }

func (m *matcher) add(pattern string) {
	at := int32(0)
	for _, c := range []byte(pattern) {
		next := m.child(at, c)
		if next == 0 {
			next = int32(len(m.nodes))
			m.nodes = append(m.nodes, node{sibling: m.nodes[at].child, depth: m.nodes[at].depth + 1, label: c})
			m.nodes[at].child = next
			if at == 0 {
				m.root[c] = next
			}
		}
		at = next
	}
	m.nodes[at].ends = m.nodes[at].depth
}

// link sets the links of suffixes, shorter prefixes first.
func (m *matcher) link() {
	queue := make([]int32, 1, len(m.nodes))
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		for n := m.nodes[at].child; n != 0; n = m.nodes[n].sibling {
			if at != 0 {
				m.nodes[n].fail = m.step(m.nodes[at].fail, m.nodes[n].label)
			}
			m.nodes[n].ends = max(m.nodes[n].ends, m.nodes[m.nodes[n].fail].ends)
			queue = append(queue, n)
		}
	}
}

func (m *matcher) child(at int32, c byte) int32 {
	if at == 0 {
		return m.root[c]
	}
	n := m.nodes[at].child
	for n != 0 && m.nodes[n].label != c {
		n = m.nodes[n].sibling
	}
	return n
}

// step returns the longest prefix that ends with c after the one at.
func (m *matcher) step(at int32, c byte) int32 {
	for {
		if n := m.child(at, c); n != 0 || at == 0 {
			return n
		}
		at = m.nodes[at].fail
	}
}

// cursor is where a scan stands. Before start everything is decided. at is the
// prefix that the bytes from start on are, if it has at least window bytes, and
// else the root.
type cursor struct {
	start int
	at    int32
}

// scan looks at data from the cursor on and calls found for each place where
// patterns end, with the longest. The next scan goes on with what begins at the
// cursor's start, and more.
func (m *matcher) scan(data []byte, c cursor, found func(start, end int)) cursor {
	for {
		if c.at == 0 {
			if c = m.skip(data, c.start); c.at == 0 {
				return m.rest(data, c.start)
			}
			m.report(c, c.start+window, found)
		}
		for c.at != 0 {
			pos := c.start + int(m.nodes[c.at].depth)
			if pos == len(data) {
				return c
			}
			c.at = m.step(c.at, data[pos])
			c.start = pos + 1 - int(m.nodes[c.at].depth)
			if m.nodes[c.at].depth < window {
				c.at = 0
				break
			}
			m.report(c, pos+1, found)
		}
	}
}

func (m *matcher) report(c cursor, end int, found func(start, end int)) {
	if n := int(m.nodes[c.at].ends); n > 0 {
		found(end-n, end)
	}
}

// skip goes to the next window that begins a pattern, or to where none fits.
func (m *matcher) skip(data []byte, i int) cursor {
	for i+window <= len(data) {
		last := binary.LittleEndian.Uint32(data[i+window-4:]) >> 8
		if s := m.shift[hash(last)]; s > 0 {
			i += int(s)
			continue
		}
		if at := m.walk(data[i : i+window]); at != 0 {
			return cursor{i, at}
		}
		i++
	}
	return cursor{start: i}
}

// rest goes to the first byte from which the end of data may begin a pattern.
func (m *matcher) rest(data []byte, i int) cursor {
	i = min(i, len(data))
	for i < len(data) && m.walk(data[i:]) == 0 {
		i++
	}
	return cursor{start: i}
}

// walk returns the prefix that a text is, or 0.
func (m *matcher) walk(text []byte) int32 {
	at := int32(0)
	for _, c := range text {
		if at = m.child(at, c); at == 0 {
			return 0
		}
	}
	return at
}
