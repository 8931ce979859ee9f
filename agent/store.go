package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"gitdag/agent/history"
	"gitdag/engine"
	"gitdag/engine/flow"
	"gitdag/engine/journal"
	"gitdag/internal/atomicfile"
)

// store is the durable half of a data directory, recovered.
type store struct {
	journal         *journal.Journal
	objects         *journal.Objects
	history         *history.History
	state, follower *flow.State
	// id names the data directory in the environment of its tasks.
	id string
}

// openStore locks a data directory and rebuilds the state from its journal,
// twice: once for the engine's owner, once for those who read.
func openStore(ctx context.Context, dir, version string, config flow.Config, log *slog.Logger) (_ *store, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	fsys := journal.OSFS(dir)
	s := &store{}
	var found *journal.Recovery
	if s.journal, found, err = journal.Open(fsys, journal.Options{Writer: version, Schema: flow.Schema}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close(context.WithoutCancel(ctx))
		}
	}()
	if found.Torn != nil {
		log.Warn("the last write was cut short by a crash and is dropped; it had not been acknowledged", "torn", found.Torn)
	}
	for _, d := range found.Damaged {
		log.Warn("a snapshot that is not needed is damaged", "err", d)
	}
	if s.objects, err = journal.OpenObjects(fsys); err != nil {
		return nil, err
	}
	objects := engine.Objects(s.objects)
	if s.state, err = rebuild(found, config, objects); err != nil {
		return nil, err
	}
	if s.follower, err = rebuild(found, config, objects); err != nil {
		return nil, err
	}
	if s.history, _, err = history.Open(ctx, dir, history.Options{Log: log}); err != nil {
		return nil, err
	}
	s.id, err = dataID(dir)
	return s, err
}

// rebuild makes a state from a snapshot and the records behind it.
func rebuild(found *journal.Recovery, config flow.Config, objects flow.Objects) (*flow.State, error) {
	s := flow.New(config)
	if found.SnapshotSeq > 0 {
		r, writer, err := found.OpenSnapshot()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		if s, err = flow.Decode(r, config, objects); err != nil {
			return nil, fmt.Errorf("snapshot written by gitdag %s: %w", writer, err)
		}
	}
	err := found.Replay(func(seq uint64, record []byte) error {
		e, err := flow.DecodeEvent(record, objects)
		if err != nil {
			return fmt.Errorf("journal record %d: %w", seq, err)
		}
		s.Apply(e)
		return nil
	})
	return s, err
}

// close releases what openStore took, the lock last.
func (s *store) close(ctx context.Context) error {
	var errs []error
	if s.history != nil {
		errs = append(errs, s.history.Close(ctx))
	}
	if s.journal != nil {
		errs = append(errs, s.journal.Close())
	}
	return errors.Join(errs...)
}

// dataID returns the random name of a data directory, made at its first use.
func dataID(dir string) (string, error) {
	file := filepath.Join(dir, "id")
	data, err := os.ReadFile(file)
	if err == nil && len(strings.TrimSpace(string(data))) > 0 {
		return strings.TrimSpace(string(data)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the name of the data directory: %w", err)
	}
	raw := make([]byte, 8)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("name the data directory: %w", err)
	}
	id := hex.EncodeToString(raw)
	if err := atomicfile.WriteFile(file, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("name the data directory: %w", err)
	}
	return id, nil
}
