package secret

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

const (
	// refreshEvery bounds how often sources are asked for all that they have.
	refreshEvery = time.Second
	// forgetAfter is how long a value stays masked after it was last seen: one that
	// was replaced may still be in a file of an attempt.
	forgetAfter = 24 * time.Hour
	// idleAfter is how long the matcher of a project whose tasks do not run stays
	// in memory: that of a long value takes megabytes.
	idleAfter = 5 * time.Minute
)

// Secrets hands values out, to tasks. Where it has a method Values as [Reader]'s,
// those are masked before a task asks for any.
type Secrets interface {
	Secret(ctx context.Context, key string) (string, error)
}

// lister tells all values that it has, as far as they can be read.
type lister interface {
	Values(ctx context.Context) ([]string, error)
}

// Masks has a masker for each project, which knows what the project's secrets are
// and were: all that their sources have, and what was handed out. It may be used
// by many goroutines.
type Masks struct {
	now      func() time.Time
	mu       sync.Mutex
	projects map[uint64]*Known
	swept    time.Time
}

// NewMasks returns masks with a clock.
func NewMasks(now func() time.Time) *Masks {
	return &Masks{now: now, projects: map[uint64]*Known{}}
}

// Of returns the masker of a project. What its sources cannot read now, they cannot
// hand out either.
func (m *Masks) Of(ctx context.Context, project uint64, secrets Secrets) *Known {
	m.mu.Lock()
	k := m.projects[project]
	if k == nil {
		k = &Known{now: m.now, sightings: &sightings{map[string]time.Time{}}}
		m.projects[project] = k
	}
	now := m.now()
	k.used = now
	m.sweep(now)
	m.mu.Unlock()
	if l, ok := secrets.(lister); ok {
		k.refresh(ctx, l)
	}
	return k
}

// sweep lets go of what idle projects do not need until they run again.
func (m *Masks) sweep(now time.Time) {
	if since := now.Sub(m.swept); since >= 0 && since < idleAfter {
		return
	}
	m.swept = now
	for _, k := range m.projects {
		if now.Sub(k.used) >= idleAfter {
			k.release()
		}
	}
}

// Known is the masker of a project.
type Known struct {
	Masker
	now  func() time.Time
	used time.Time // the masks'

	refreshing sync.Mutex
	refreshed  time.Time
	learning   sync.Mutex
	*sightings
}

// sightings are when values were last seen: behind a pointer as the patterns are.
type sightings struct{ seen map[string]time.Time }

// refresh learns what the sources have now.
func (k *Known) refresh(ctx context.Context, secrets lister) {
	k.refreshing.Lock()
	defer k.refreshing.Unlock()
	now := k.now()
	if since := now.Sub(k.refreshed); since >= 0 && since < refreshEvery {
		return
	}
	values, _ := secrets.Values(ctx)
	k.refreshed = now
	for _, value := range values {
		k.learn(value, now)
	}
	k.forget(now)
}

func (k *Known) learn(value string, now time.Time) {
	k.learning.Lock()
	defer k.learning.Unlock()
	if _, known := k.seen[value]; !known {
		k.Add(value)
	}
	k.seen[value] = now
}

// forget drops what was not seen for long.
func (k *Known) forget(now time.Time) {
	k.learning.Lock()
	defer k.learning.Unlock()
	before := len(k.seen)
	maps.DeleteFunc(k.seen, func(_ string, at time.Time) bool { return now.Sub(at) > forgetAfter })
	if len(k.seen) < before {
		k.reset(maps.Keys(k.seen))
	}
}

// Watch returns secrets whose values are masked from when they are handed out.
func (k *Known) Watch(secrets Secrets) Watched { return Watched{secrets, k} }

// Watched hands secrets out, of which a masker learns.
type Watched struct {
	secrets Secrets
	known   *Known
}

// Secret returns the value of a key.
func (w Watched) Secret(ctx context.Context, key string) (string, error) {
	value, err := w.secrets.Secret(ctx, key)
	if err == nil {
		w.known.learn(value, w.known.now())
	}
	return value, err
}

// Values returns what all sources have, as far as they can tell; the error is for
// the rest.
func (r Reader) Values(ctx context.Context) ([]string, error) {
	var all []string
	var errs []error
	for _, s := range r.sources {
		if l, ok := s.(lister); ok {
			values, err := l.Values(ctx)
			all, errs = append(all, values...), append(errs, err)
		}
	}
	return all, errors.Join(errs...)
}
