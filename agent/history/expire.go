package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

// Keep says which attempts stay when others expire. Those that finished last
// are kept.
type Keep struct {
	// Age is for how long an attempt is kept; 0 means for ever.
	Age time.Duration
	// Count is how many attempts are kept; 0 means all.
	Count int
}

// gone is what stays of an expired attempt: what it takes to refuse its name
// and to give its session the same identity again.
type gone struct {
	Attempt   uint64      `json:"attempt"`
	Index     int         `json:"index"`
	RetryName string      `json:"retryName,omitempty"`
	Session   wireSession `json:"session"`
}

// Expire removes the attempts that the policy does not keep and returns how
// many that were. They are no longer listed, but their names stay taken: what
// [History.Past] answers does not change. It is meant to be called every hour
// or so; each call that removes something rewrites a small file in each of the
// folders concerned.
func (h *History) Expire(ctx context.Context, keep Keep, now time.Time) (int, error) {
	bound, err := h.bound(ctx, keep, now)
	if err != nil {
		return 0, fmt.Errorf("expire attempts: %w", h.index.failure(err))
	}
	total := 0
	for {
		d, part, err := h.due(ctx, bound)
		if err != nil {
			return total, fmt.Errorf("expire attempts: %w", h.index.failure(err))
		}
		if len(part) == 0 {
			return total, nil
		}
		n, err := h.expire(ctx, d, part)
		total += n
		if err != nil {
			return total, fmt.Errorf("expire attempts: %w", h.index.failure(err))
		}
	}
}

// What expires is decided by `finished` alone, along its index.
const (
	oldestAttempt = `SELECT finished FROM attempt ORDER BY finished LIMIT 1`
	countBound    = `SELECT finished FROM attempt ORDER BY finished DESC, id DESC LIMIT 1 OFFSET ?`
	dueAttempts   = `SELECT head FROM attempt WHERE finished >= ?1 AND finished < ?2 ORDER BY finished, id LIMIT ?3`
)

// due returns the attempts before bound to remove next, all from one folder;
// none if there is nothing to do.
func (h *History) due(ctx context.Context, bound int64) (day, []gone, error) {
	oldest, ok, err := h.number(ctx, oldestAttempt)
	if err != nil || !ok || oldest >= bound {
		return 0, nil, err
	}
	d := dayOf(time.UnixMilli(oldest))
	var part []gone
	args := []any{oldest, min(bound, (d + 1).start().UnixMilli()), batch}
	err = h.index.read(ctx, dueAttempts, args, func(scan func(...any) error) error {
		var head []byte
		if err := scan(&head); err != nil {
			return err
		}
		s, err := decodeRow(head)
		if err != nil {
			return err
		}
		part = append(part, gone{s.Attempt.ID, s.Attempt.Index, s.Attempt.RetryName, wireSession(s.Session)})
		return nil
	})
	return d, part, err
}

// bound returns the time before which attempts expire, in milliseconds. What
// finished in the same millisecond as the last one that is kept is kept too.
func (h *History) bound(ctx context.Context, keep Keep, now time.Time) (int64, error) {
	var bound int64
	if keep.Age > 0 {
		bound = now.Add(-keep.Age).UnixMilli()
	}
	if keep.Count > 0 {
		last, ok, err := h.number(ctx, countBound, keep.Count-1)
		if err != nil {
			return 0, err
		}
		if ok {
			bound = max(bound, last)
		}
	}
	return bound, nil
}

// number returns the one number that a query answers with, if it does.
func (h *History) number(ctx context.Context, q string, args ...any) (n int64, ok bool, err error) {
	err = h.index.read(ctx, q, args, func(scan func(...any) error) error {
		ok = true
		return scan(&n)
	})
	return n, ok, err
}

// expire removes attempts of one day: first their names are safe in the
// folder's list, then the files go, then the rows. A crash in between leaves
// attempts that are still there and expire again.
func (h *History) expire(ctx context.Context, d day, part []gone) (int, error) {
	h.gate.Lock()
	defer h.gate.Unlock()
	if err := h.extendExpired(d, part); err != nil {
		return 0, err
	}
	h.mu.Lock()
	h.touched[d] = true
	h.mu.Unlock()
	for i := range part {
		if err := forget(h.archive.file(d, part[i].Attempt)); err != nil {
			return 0, err
		}
	}
	err := h.index.update(ctx, func(c change) error {
		for i := range part {
			if err := errors.Join(c.remove(ctx, part[i].Attempt), c.insertExpired(ctx, d, &part[i])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(part), nil
}

func (c change) insertExpired(ctx context.Context, d day, g *gone) error {
	s := &g.Session
	return c.exec(ctx, insertExpired, g.Attempt, d, s.ID, s.UUID, s.Project, s.Workflow, s.Time.Unix(), g.Index, g.RetryName)
}

// extendExpired adds to the list of a folder's expired attempts. One that is
// listed already, as it expired twice, is listed once.
func (h *History) extendExpired(d day, part []gone) error {
	list, err := h.archive.readExpired(d)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	known := make(map[uint64]bool, len(list))
	for i := range list {
		known[list[i].Attempt] = true
	}
	for i := range part {
		if !known[part[i].Attempt] {
			list = append(list, part[i])
		}
	}
	return h.archive.writeExpired(d, list)
}

func (a *archive) expiredPath(d day) string { return filepath.Join(a.folder(d), expiredName) }

func (a *archive) writeExpired(d day, list []gone) error {
	return a.write(a.expiredPath(d), func(lines *json.Encoder) error {
		if err := lines.Encode(mark{expiredKind, format}); err != nil {
			return err
		}
		for i := range list {
			if err := lines.Encode(&list[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *archive) readExpired(d day) ([]gone, error) {
	path := a.expiredPath(d)
	l, err := a.open(path)
	if err != nil {
		return nil, describe(path, err)
	}
	defer a.close(l)
	var m mark
	if err := l.decode(&m); err != nil {
		return nil, describe(path, err)
	}
	if err := m.check(expiredKind, path); err != nil {
		return nil, err
	}
	var list []gone
	for {
		var g gone
		switch err := l.decode(&g); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, describe(path, err)
		}
		list = append(list, g)
	}
}

// decode reads the next line as JSON.
func (l *lines) decode(to any) error {
	line, err := l.next()
	if err != nil {
		return err
	}
	return json.Unmarshal(line, to)
}

// loadExpired replaces what the index knows of a folder's expired attempts.
func (h *History) loadExpired(ctx context.Context, d day, listed bool, report *Report) error {
	var list []gone
	if listed {
		var err error
		list, err = h.archive.readExpired(d)
		var newer *FormatError
		switch {
		case errors.As(err, &newer):
			return err
		case err != nil:
			report.Damaged = append(report.Damaged, err.Error())
			return nil
		}
	}
	return h.index.update(ctx, func(c change) error {
		if err := c.exec(ctx, deleteExpired, d); err != nil {
			return err
		}
		for i := range list {
			if err := c.insertExpired(ctx, d, &list[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
