package tasklog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options configure a [Store].
type Options struct {
	// Dir holds the logs; made with the first one.
	Dir string
	// Agent names this process in the names of its logs: "4242@host".
	Agent string
	// MaxBytes limits a log; 0 means 1 GB.
	MaxBytes int64
}

// Store is the directory of logs, one process at a time. Its methods may be
// called by many goroutines.
type Store struct {
	dir      string
	agent    string
	maxBytes int64
	packers  sync.Pool // of *packer, a megabyte each

	mu    sync.Mutex
	lives map[uint64]*live
	// recent is the index of the pack that was read last: whoever reads one
	// log of an attempt soon reads the next.
	recent *pack
	forget *time.Timer
}

// recentFor is how long the last pack's index stays in memory.
const recentFor = 30 * time.Second

// NewStore returns the store of a directory, which is not touched yet.
func NewStore(o Options) *Store {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1_000_000_000
	}
	return &Store{dir: o.Dir, agent: o.Agent, maxBytes: o.MaxBytes, lives: map[uint64]*live{}}
}

// Run names one execution of a task.
type Run struct {
	Attempt   uint64
	Task      uint64
	Execution int
	// FullName is the task's, of any length and content.
	FullName string
	// Time is when the execution began. The logs of an attempt have different
	// times: a log gets the next free nanosecond.
	Time time.Time
}

// Info describes a log.
type Info struct {
	// Name is the log's file name on the wire. It never changes.
	Name      string
	FullName  string
	Task      uint64
	Execution int
	Time      time.Time
	Agent     string
	// Size is the number of bytes that can be read now; it only grows.
	Size int64
}

// wireName is the name of a log as Digdag forms it (server.md §1.8), with what
// cannot stand in a file name percent-encoded. An attempt may have a hundred
// thousand, so it is put together by hand.
func wireName(fullName string, t time.Time, agent string) string {
	b := make([]byte, 0, len(fullName)+len(agent)+len("@0123456789abcdef..log.gz"))
	b = append(escape(b, fullName), '@')
	b = appendHex(b, uint32(t.Unix()))
	b = append(appendHex(b, uint32(t.Nanosecond())), '.')
	return string(append(escape(b, agent), ".log.gz"...))
}

const hexDigits = "0123456789abcdef"

func appendHex(b []byte, v uint32) []byte {
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[v>>shift&15])
	}
	return b
}

// wireTime returns the time in such a name.
func wireTime(name string) (time.Time, bool) {
	at := strings.LastIndexByte(name, '@')
	// An agent's name may have an @ too, so the right one is found by its form.
	for ; at >= 0; at = strings.LastIndexByte(name[:at], '@') {
		digits := name[at+1:]
		if len(digits) < 17 || digits[16] != '.' {
			continue
		}
		seconds, err1 := strconv.ParseUint(digits[:8], 16, 32)
		nanos, err2 := strconv.ParseUint(digits[8:16], 16, 32)
		if err1 == nil && err2 == nil {
			return time.Unix(int64(seconds), int64(nanos)), true
		}
	}
	return time.Time{}, false
}

func escape(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20, c == 0x7f, c == '/', c == '\\', c == '%':
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

// Begin returns the writer of an execution's log. Nothing is done before the
// first byte.
func (s *Store) Begin(r Run) *Writer {
	return &Writer{live: s.enter(r.Attempt), run: r, log: -1}
}

// List returns the logs of an attempt that have at least one byte, sorted by
// name. An attempt that never logged has none.
func (s *Store) List(attempt uint64) ([]Info, error) {
	var infos []Info
	if l := s.find(attempt); l != nil {
		var err error
		if infos, err = l.list(); err != nil && !errors.Is(err, errPacked) {
			return nil, fmt.Errorf("list logs of attempt %d: %w", attempt, err)
		}
	}
	p, err := s.pack(attempt)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list logs of attempt %d: %w", attempt, err)
	}
	if err == nil {
		infos = append(infos, p.infos()...)
	}
	slices.SortStableFunc(infos, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	// For a moment, or since a crash, a log may be both live and packed.
	return slices.CompactFunc(infos, func(a, b Info) bool { return a.Name == b.Name }), nil
}

// Open returns what the log has now, from an offset on. To follow a log, open
// it again where the last reader ended. The error for a name that the attempt
// does not have is fs.ErrNotExist.
func (s *Store) Open(attempt uint64, name string, offset int64) (io.ReadCloser, error) {
	t, ok := wireTime(name)
	if ok && offset >= 0 {
		r, err := s.openAt(attempt, name, t, offset)
		if !errors.Is(err, fs.ErrNotExist) {
			return r, err
		}
	}
	return nil, fmt.Errorf("open log %q of attempt %d: %w", name, attempt, fs.ErrNotExist)
}

func (s *Store) openAt(attempt uint64, name string, t time.Time, offset int64) (io.ReadCloser, error) {
	if l := s.find(attempt); l != nil {
		r, err := l.open(name, t, offset)
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, errPacked) && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open log %q of attempt %d: %w", name, attempt, err)
		}
	}
	p, err := s.pack(attempt)
	if err != nil {
		return nil, err
	}
	return p.open(name, t, offset)
}

// tailBytes is how much of a log's end [Store.Tail] looks at.
const tailBytes = 64 << 10

// Tail returns the last lines of the task's latest log, without their line
// ends, and looks at its last 64 KiB only.
func (s *Store) Tail(attempt, task uint64, lines int) ([]string, error) {
	infos, err := s.List(attempt)
	if err != nil {
		return nil, err
	}
	infos = slices.DeleteFunc(infos, func(i Info) bool { return i.Task != task })
	if len(infos) == 0 {
		return nil, nil
	}
	last := slices.MaxFunc(infos, func(a, b Info) int { return a.Time.Compare(b.Time) })
	from := max(0, last.Size-tailBytes)
	r, err := s.Open(attempt, last.Name, from)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, tailBytes))
	if err != nil {
		return nil, fmt.Errorf("read log %q of attempt %d: %w", last.Name, attempt, err)
	}
	all := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if from > 0 && len(all) > 1 {
		all = all[1:] // begins in the middle of a line
	}
	all = all[max(0, len(all)-max(0, lines)):]
	for i := range all {
		all[i] = strings.TrimSuffix(all[i], "\r")
	}
	return all, nil
}

// Close writes what is still in memory. The writers are no longer usable.
func (s *Store) Close() error {
	s.mu.Lock()
	lives := s.lives
	s.lives = map[uint64]*live{}
	s.mu.Unlock()
	s.remember(nil)
	var errs []error
	for _, l := range lives {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// enter returns the live logs of an attempt, which may have none yet.
func (s *Store) enter(attempt uint64) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lives[attempt]
	if l == nil {
		l = &live{store: s, attempt: attempt, dir: s.path(attempt, ".live")}
		s.lives[attempt] = l
	}
	return l
}

// find returns the live logs of an attempt, nil if it has none.
func (s *Store) find(attempt uint64) *live {
	s.mu.Lock()
	l := s.lives[attempt]
	s.mu.Unlock()
	if l != nil {
		return l
	}
	if _, err := os.Stat(s.path(attempt, ".live")); err != nil {
		return nil
	}
	return s.enter(attempt)
}

// leave forgets live logs that are packed now.
func (s *Store) leave(l *live) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lives[l.attempt] == l {
		delete(s.lives, l.attempt)
	}
}

// pack returns the attempt's pack, or fs.ErrNotExist.
func (s *Store) pack(attempt uint64) (*pack, error) {
	s.mu.Lock()
	p := s.recent
	s.mu.Unlock()
	path := s.path(attempt, ".pack")
	if p != nil && p.path == path && p.current() {
		return p, nil
	}
	p, err := readPack(path)
	if err != nil {
		return nil, err
	}
	s.remember(p)
	return p, nil
}

func (s *Store) remember(p *pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forget != nil {
		s.forget.Stop()
	}
	s.recent, s.forget = p, nil
	if p != nil {
		s.forget = time.AfterFunc(recentFor, func() { s.remember(nil) })
	}
}

// perShard is the number of attempts whose logs share a directory.
const perShard = 1000

func (s *Store) path(attempt uint64, suffix string) string {
	return filepath.Join(s.dir, strconv.FormatUint(attempt/perShard, 10), strconv.FormatUint(attempt, 10)+suffix)
}
