package gitsync

import (
	"strings"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	maxSince   = 50
	maxSubject = 200
)

// describe cuts a commit down to what people are told of it.
func describe(c *object.Commit) Commit {
	return Commit{
		Hash: c.Hash.String(), AuthorName: oneLine(c.Author.Name), AuthorEmail: oneLine(c.Author.Email),
		Subject: oneLine(strings.TrimSpace(c.Message)), Time: c.Committer.When,
	}
}

// oneLine is the first line of a text, without control characters and bounded.
func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxSubject {
		return string(r[:maxSubject]) + "…"
	}
	return s
}

// relate says how a commit follows from the one that is live, and what came in
// between. It looks at as many generations as a fetch brings; what lies beyond
// is unknown, never a guess.
func relate(objs objects, tip *object.Commit, live string, depth int) (Relation, []Commit, error) {
	switch live {
	case "":
		return First, nil, nil
	case tip.Hash.String():
		return Same, nil, nil
	}
	h := history{objs: objs, target: plumbing.NewHash(live), seen: map[plumbing.Hash]*object.Commit{tip.Hash: tip}}
	if err := h.walk(tip, depth); err != nil {
		return "", nil, err
	}
	switch {
	case h.found != nil:
		since, err := h.since(depth)
		return FastForward, since, err
	case h.truncated:
		return Unknown, nil, nil
	}
	return Rewrite, nil, nil
}

type history struct {
	objs      objects
	target    plumbing.Hash
	order     []*object.Commit // as walked, newest generation first
	seen      map[plumbing.Hash]*object.Commit
	found     *object.Commit
	truncated bool // there is more that was not looked at
}

// walk goes back generation by generation.
func (h *history) walk(tip *object.Commit, depth int) error {
	level := []*object.Commit{tip}
	for range depth {
		var next []*object.Commit
		for _, c := range level {
			if c.Hash == h.target {
				h.found = c
				continue // what is behind it was live
			}
			h.order = append(h.order, c)
			parents, err := h.parents(c)
			if err != nil {
				return err
			}
			next = append(next, parents...)
		}
		if level = next; len(level) == 0 {
			return nil
		}
	}
	for _, c := range level {
		if c.Hash == h.target {
			h.found = c
		}
	}
	h.truncated = true
	return nil
}

func (h *history) parents(c *object.Commit) ([]*object.Commit, error) {
	cut, err := h.objs.cut(c.Hash)
	if err != nil {
		return nil, err
	}
	if cut {
		h.truncated = h.truncated || len(c.ParentHashes) > 0
		return nil, nil
	}
	var parents []*object.Commit
	for _, p := range c.ParentHashes {
		if h.seen[p] != nil {
			continue
		}
		pc, err := loadCommit(h.objs, p)
		if err != nil {
			return nil, err
		}
		h.seen[p] = pc
		parents = append(parents, pc)
	}
	return parents, nil
}

// since is what was walked without what the live commit already held: a merge
// brings in commits whose own ancestors were live long ago.
func (h *history) since(depth int) ([]Commit, error) {
	old := history{objs: h.objs, seen: map[plumbing.Hash]*object.Commit{}}
	if err := old.walk(h.found, depth); err != nil {
		return nil, err
	}
	var since []Commit
	for _, c := range h.order {
		if len(since) == maxSince {
			break
		}
		if c.Hash != h.found.Hash && old.seen[c.Hash] == nil {
			since = append(since, describe(c))
		}
	}
	return since, nil
}
