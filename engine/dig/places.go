package dig

import (
	"maps"
	"slices"

	"gitdag/engine/params"
)

// place is where in which file something stands.
type place struct {
	file         string
	line, column int32
}

// keySpot is where a key of a mapping stands, and where its value does.
type keySpot struct {
	name  string
	key   place
	value place
	raw   string // the key as it is written, where that differs from its name
}

// spots are the places of one mapping.
type spots struct {
	at    place
	keys  []keySpot
	index map[string]int // positions in keys; nil while they are few
}

// indexFrom is the number of keys from which an index beats looking at every one.
const indexFrom = 16

func (s *spots) find(key string) *keySpot {
	if s == nil {
		return nil
	}
	if s.index != nil {
		if i, ok := s.index[key]; ok {
			return &s.keys[i]
		}
		return nil
	}
	for i := range s.keys {
		if s.keys[i].name == key {
			return &s.keys[i]
		}
	}
	return nil
}

func (s *spots) set(k keySpot) {
	if old := s.find(k.name); old != nil {
		*old = k
		return
	}
	s.keys = append(s.keys, k)
	switch {
	case s.index != nil:
		s.index[k.name] = len(s.keys) - 1
	case len(s.keys) >= indexFrom:
		s.index = make(map[string]int, 2*len(s.keys))
		for i := range s.keys {
			s.index[s.keys[i].name] = i
		}
	}
}

func (s *spots) clone() *spots {
	return &spots{at: s.at, keys: slices.Clone(s.keys), index: maps.Clone(s.index)}
}

// places knows where the mappings of a load stand. Parameters themselves carry no places: they outlive the files.
type places map[*params.Map]*spots

// key returns the place of a key of m, or that of m, and the key as it is written.
func (p places) key(m *params.Map, key string) (place, string) {
	s := p[m]
	if s == nil {
		return place{}, key
	}
	k := s.find(key)
	if k == nil {
		return s.at, key
	}
	if k.raw != "" {
		return k.key, k.raw
	}
	return k.key, key
}

// value returns the place of the value of a key of m, or that of m.
func (p places) value(m *params.Map, key string) place {
	s := p[m]
	if s == nil {
		return place{}
	}
	if k := s.find(key); k != nil {
		return k.value
	}
	return s.at
}

// copyKey makes key of to stand where it stands in from.
func (p places) copyKey(to, from *params.Map, key string) {
	source := p[from]
	if source == nil {
		return
	}
	target := p[to]
	if target == nil {
		target = &spots{at: source.at}
		p[to] = target
	}
	if k := source.find(key); k != nil {
		target.set(*k)
	}
}

// merge lays above over below as [params.Merge] does, places included, and adds what it costs to work.
func (p places) merge(below, above *params.Map, work *int64) *params.Map {
	out := below.Clone()
	*work += int64(below.Len()+above.Len()) * copyWeight
	if s := p[below]; s != nil {
		p[out] = s.clone()
	}
	for key, value := range above.All() {
		if upper, ok := value.(*params.Map); ok {
			if v, _ := out.Lookup(key); v != nil {
				if lower, ok := v.(*params.Map); ok {
					value = p.merge(lower, upper, work)
				}
			}
		}
		out.Set(key, value)
		p.copyKey(out, above, key)
	}
	return out
}
