package journaltest

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
)

// Part is how much of what was not synced a power cut leaves.
type Part int

// The parts. Of bytes, Half is every write but the end of the last one, Sectors is every other sector of the last write, and Random any
// set of sectors. Of entries, Half is the older half of the changes, and Random any set of them.
const (
	None Part = iota
	All
	Half
	Sectors
	Random
)

func (p Part) String() string { return [...]string{"none", "all", "half", "sectors", "random"}[p] }

// sector is small, so that batches of a test tear in their midst.
const sector = 16

// Cut is one way in which a power cut may leave the disk.
type Cut struct {
	Data    Part
	Entries Part
	Seed    uint64 // of Random
}

func (c Cut) String() string {
	return fmt.Sprintf("bytes kept: %s, entries kept: %s, seed %d", c.Data, c.Entries, c.Seed)
}

// Cuts returns every combination, and the random ones with as many seeds.
func Cuts(seeds int) []Cut {
	var cuts []Cut
	for _, entries := range []Part{None, All, Half} {
		for _, data := range []Part{None, All, Half, Sectors} {
			cuts = append(cuts, Cut{Data: data, Entries: entries})
		}
	}
	for seed := range seeds {
		cuts = append(cuts, Cut{Data: Random, Entries: Random, Seed: uint64(seed)})
	}
	return cuts
}

// Crash returns the file system as a power cut at this moment may leave it. The old one is as it was; all that is in the new one is
// durable.
func (f *FS) Crash(cut Cut) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	rng := rand.New(rand.NewPCG(cut.Seed, uint64(f.ops)))
	entries := map[string]*inode{}
	for name, n := range f.durable {
		entries[name] = n
	}
	for i, c := range f.pending {
		keep := cut.Entries == All || cut.Entries == Half && i < len(f.pending)/2 || cut.Entries == Random && rng.IntN(2) == 0
		if keep {
			c.apply(entries)
		}
	}
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names) // so that a seed gives one result
	next := New()
	for _, name := range names {
		n := entries[name]
		if _, ok := entries[path.Dir(name)]; !ok {
			continue // its directory is lost
		}
		if n == nil {
			next.files[name], next.durable[name] = nil, nil
			continue
		}
		data := n.torn(cut.Data, rng)
		kept := &inode{data: data, durable: slices.Clone(data)}
		next.files[name], next.durable[name] = kept, kept
	}
	return next
}

// torn returns the content with a part of what is pending.
func (n *inode) torn(part Part, rng *rand.Rand) []byte {
	data := slices.Clone(n.durable)
	for i, c := range n.pending {
		last := i == len(n.pending)-1
		switch {
		case part == None:
		case part == All || !last && part != Random:
			data = c.apply(data)
		case c.data == nil:
			if part == Random && rng.IntN(2) == 0 {
				data = c.apply(data)
			}
		case part == Half:
			data = change{c.at, c.data[:len(c.data)/2]}.apply(data)
		default:
			data = c.sectors(data, func(k int) bool {
				return part == Sectors && k%2 == 1 || part == Random && rng.IntN(2) == 0
			})
		}
	}
	return data
}

// sectors applies those sectors of a write that keep chooses; a hole in front of one reads as zeros.
func (c change) sectors(data []byte, keep func(k int) bool) []byte {
	for k := 0; k*sector < len(c.data); k++ {
		if keep(k) {
			end := min((k+1)*sector, len(c.data))
			data = change{c.at + int64(k*sector), c.data[k*sector : end]}.apply(data)
		}
	}
	return data
}
