package engine

import (
	"fmt"
	"io/fs"
	"sync"

	"gitdag/engine/journal"
)

// MemoryObjects is an [ObjectStore] of a process that leaves nothing behind.
type MemoryObjects struct {
	mu   sync.Mutex
	data map[string][]byte
}

// Put keeps an object.
func (m *MemoryObjects) Put(data []byte) (string, error) {
	name := journal.ObjectName(data)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		m.data = map[string][]byte{}
	}
	m.data[name] = data
	return name, nil
}

// PutAll keeps several objects.
func (m *MemoryObjects) PutAll(data [][]byte) ([]string, error) {
	names := make([]string, len(data))
	for i, d := range data {
		names[i], _ = m.Put(d)
	}
	return names, nil
}

// Read returns an object.
func (m *MemoryObjects) Read(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.data[name]
	if !ok {
		return nil, fmt.Errorf("object %s: %w", name, fs.ErrNotExist)
	}
	return data, nil
}
