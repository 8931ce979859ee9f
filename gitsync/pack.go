package gitsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// pack is a pack file on disk and an index of it in memory. go-git's own index
// holds every inflated object at once, so that a pack of 1 MB can take 1 GB;
// here an object is hashed as it streams by, and a delta's base is held in
// memory only as long as it is small.
type pack struct {
	file    *os.File
	dir     string // for large contents
	scan    *packfile.Scanner
	entries []packEntry
	byName  map[plumbing.Hash]int
	shallow map[plumbing.Hash]bool
	limits  packLimits
	recent  recentContents
}

type packEntry struct {
	offset int64
	size   int64 // of the content, after all deltas
	name   plumbing.Hash
	typ    plumbing.ObjectType // of the content; the stored one until resolved
	base   int                 // index of the delta's base; -1 for a whole object
}

// packLimits bounds what is taken from a remote.
type packLimits struct {
	bytes    int64 // of the pack
	objects  uint32
	inflated int64 // all objects together, which bounds time
	spill    int64 // contents above this size are kept in a file
	chain    int   // deltas upon deltas
}

var defaultPackLimits = packLimits{
	bytes: 1 << 30, objects: 1_000_000, inflated: 16 << 30, spill: 1 << 20, chain: 4095,
}

const recentBytes = 16 << 20

// openPack reads the headers of all objects against the limits before anything
// is inflated, then names every object.
func openPack(ctx context.Context, file, dir string, limits packLimits) (*pack, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	p := &pack{
		file: f, dir: dir, limits: limits,
		scan: packfile.NewScanner(f), byName: map[plumbing.Hash]int{},
	}
	p.recent.limit = recentBytes
	links, err := p.scanAll(ctx)
	if err == nil {
		err = p.resolveAll(ctx, links)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *pack) close() { _ = p.file.Close() }

// deltaLinks says which entries are deltas of which.
type deltaLinks struct {
	ofEntry map[int][]int
	ofName  map[plumbing.Hash][]int
}

// scanAll walks the pack once. Whole objects get their names here.
func (p *pack) scanAll(ctx context.Context) (deltaLinks, error) {
	links := deltaLinks{map[int][]int{}, map[plumbing.Hash][]int{}}
	_, count, err := p.scan.Header()
	if err != nil {
		return links, err
	}
	if count > p.limits.objects {
		return links, fmt.Errorf("it holds %d objects, more than %d", count, p.limits.objects)
	}
	at := make(map[int64]int, count)
	var total int64
	for i := range int(count) {
		if err := ctx.Err(); err != nil {
			return links, err
		}
		h, err := p.scan.NextObjectHeader()
		if err != nil {
			return links, fmt.Errorf("object %d: %w", i, err)
		}
		if h.Length < 0 || h.Length > p.limits.inflated-total {
			return links, fmt.Errorf("its objects declare more than %d bytes", p.limits.inflated)
		}
		e, err := p.scanObject(h)
		if err != nil {
			return links, fmt.Errorf("object %d: %w", i, err)
		}
		total += h.Length
		if e.size > p.limits.inflated-total {
			return links, fmt.Errorf("its objects declare more than %d bytes", p.limits.inflated)
		}
		total += e.size
		at[h.Offset] = i
		p.entries = append(p.entries, e)
		switch h.Type {
		case plumbing.OFSDeltaObject:
			base, ok := at[h.OffsetReference]
			if !ok {
				return links, fmt.Errorf("object %d: its delta has no base at %d", i, h.OffsetReference)
			}
			links.ofEntry[base] = append(links.ofEntry[base], i)
		case plumbing.REFDeltaObject:
			links.ofName[h.Reference] = append(links.ofName[h.Reference], i)
		default:
			p.byName[e.name] = i
		}
	}
	_, err = p.scan.Checksum()
	return links, err
}

// scanObject inflates one object into its hash, or into the head of its delta.
func (p *pack) scanObject(h *packfile.ObjectHeader) (packEntry, error) {
	e := packEntry{offset: h.Offset, size: h.Length, typ: h.Type, base: -1}
	var sink io.Writer
	var head headWriter
	hasher := plumbing.Hasher{}
	switch h.Type {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
		hasher = plumbing.NewHasher(h.Type, h.Length)
		sink = hasher
	case plumbing.OFSDeltaObject, plumbing.REFDeltaObject:
		sink = &head
	default:
		return e, fmt.Errorf("unknown type %d", h.Type)
	}
	n, _, err := p.scan.NextObject(sink)
	if err != nil {
		return e, err
	}
	if n != h.Length {
		return e, fmt.Errorf("it declares %d bytes and holds %d", h.Length, n)
	}
	if hasher.Hash != nil {
		e.name = hasher.Sum()
		return e, nil
	}
	_, e.size, err = deltaSizes(head.kept)
	return e, err
}

// headWriter keeps the first bytes of what is written.
type headWriter struct{ kept []byte }

func (w *headWriter) Write(p []byte) (int, error) {
	if room := 2*maxVarint - len(w.kept); room > 0 {
		w.kept = append(w.kept, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// resolveAll names the deltas, base first, holding one chain at a time.
func (p *pack) resolveAll(ctx context.Context, links deltaLinks) error {
	for i := range p.entries {
		if p.entries[i].name.IsZero() || p.entries[i].base >= 0 || !p.hasDeltas(i, links) {
			continue
		}
		c, err := p.inflate(i)
		if err != nil {
			return err
		}
		err = p.resolveDeltas(ctx, i, c, links, 1)
		if err = errors.Join(err, c.close()); err != nil {
			return err
		}
	}
	for i, e := range p.entries {
		if e.name.IsZero() {
			return fmt.Errorf("object %d: the base of its delta is missing", i)
		}
	}
	return nil
}

func (p *pack) hasDeltas(i int, links deltaLinks) bool {
	return len(links.ofEntry[i]) > 0 || len(links.ofName[p.entries[i].name]) > 0
}

func (p *pack) resolveDeltas(ctx context.Context, base int, c *content, links deltaLinks, depth int) error {
	if depth > p.limits.chain {
		return fmt.Errorf("deltas upon deltas, more than %d", p.limits.chain)
	}
	for _, kid := range slices.Concat(links.ofEntry[base], links.ofName[p.entries[base].name]) {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := &p.entries[kid]
		if !e.name.IsZero() {
			continue // its base is in the pack twice
		}
		e.typ, e.base = p.entries[base].typ, base
		out, err := p.applyDelta(kid, c)
		if err != nil {
			return fmt.Errorf("object %d: %w", kid, err)
		}
		e.name = out.name
		p.byName[e.name] = kid
		if p.hasDeltas(kid, links) {
			err = p.resolveDeltas(ctx, kid, out, links, depth+1)
		}
		if err = errors.Join(err, out.close()); err != nil {
			return err
		}
	}
	return nil
}

func (p *pack) size(h plumbing.Hash) (int64, error) {
	i, ok := p.byName[h]
	if !ok {
		return 0, plumbing.ErrObjectNotFound
	}
	return p.entries[i].size, nil
}

func (p *pack) cut(h plumbing.Hash) (bool, error) { return p.shallow[h], nil }

func (p *pack) content(t plumbing.ObjectType, h plumbing.Hash) ([]byte, error) {
	i, ok := p.byName[h]
	if !ok {
		return nil, plumbing.ErrObjectNotFound
	}
	if p.entries[i].typ != t {
		return nil, fmt.Errorf("it is a %s", p.entries[i].typ)
	}
	c, err := p.read(i)
	if err != nil {
		return nil, err
	}
	defer c.close()
	return c.bytes()
}

// read inflates an object and the bases under it.
func (p *pack) read(i int) (*content, error) {
	var chain []int
	var c *content
	for at := i; ; at = p.entries[at].base {
		if c = p.recent.get(at); c != nil {
			break
		}
		if p.entries[at].base < 0 {
			var err error
			if c, err = p.inflate(at); err != nil {
				return nil, err
			}
			p.recent.put(at, c)
			break
		}
		chain = append(chain, at)
	}
	for k := len(chain) - 1; k >= 0; k-- {
		next, err := p.applyDelta(chain[k], c)
		if err = errors.Join(err, c.close()); err != nil {
			return nil, err
		}
		c = next
		p.recent.put(chain[k], c)
	}
	return c, nil
}
