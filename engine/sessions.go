package engine

import (
	"hash/maphash"
	"strconv"
	"sync"
	"time"
)

// sessionLocks keep a session from leaving the state while somebody who has
// looked it up in the history starts an attempt of it. Whoever looks up and
// starts holds the session's lock for reading, whoever drops an attempt for
// writing. Sessions share locks; that costs waiting, never correctness.
type sessionLocks struct {
	seed  maphash.Seed
	once  sync.Once
	locks [64]sync.RWMutex
}

// rlockAll locks several sessions of a workflow for reading, each lock once.
func (l *sessionLocks) rlockAll(project uint64, workflow string, sessions []time.Time) (unlock func()) {
	held := map[*sync.RWMutex]bool{}
	for _, session := range sessions {
		if lock := l.of(project, workflow, session); !held[lock] {
			lock.RLock()
			held[lock] = true
		}
	}
	return func() {
		for lock := range held {
			lock.RUnlock()
		}
	}
}

func (l *sessionLocks) of(project uint64, workflow string, session time.Time) *sync.RWMutex {
	l.once.Do(func() { l.seed = maphash.MakeSeed() })
	h := maphash.String(l.seed, strconv.FormatUint(project, 10)+"/"+workflow+"/"+strconv.FormatInt(session.Unix(), 10))
	return &l.locks[h%uint64(len(l.locks))]
}
