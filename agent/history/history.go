package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gitdag/engine/flow"
)

// ErrNotFound tells that an attempt or a session is not, or no longer, in the
// history.
var ErrNotFound = errors.New("not in the history")

// Options are what [Open] can be told.
type Options struct {
	// Log gets a line for each thing that the start puts right; nil for none.
	Log *slog.Logger
}

// History holds the finished attempts of one data directory. Its methods may
// be called concurrently. One process at a time may have it open; the caller's
// lock of the data directory sees to that.
type History struct {
	archive *archive
	index   *index
	log     *slog.Logger

	// gate keeps removing files apart from adding them: Put passes it shared,
	// a step of Expire alone.
	gate sync.RWMutex

	mu sync.Mutex // guards what follows
	// pending are attempts whose file may be there without a row, with the
	// day of their folder. One that failed stays until it is repeated.
	pending map[uint64]day
	// touched are the days whose folders have changed since they were known to
	// agree with the index.
	touched map[day]bool
}

// Open opens the history in a data directory and makes it if there is none. It
// brings the index in line with the archive: it looks through the folders that
// have changed since they were last known to agree, and reads only the files
// that have no row. An index that is missing, damaged or of another version is
// made anew from all files. A start that is cut off there goes on with the
// folder that it had come to.
//
// A file of a newer format is a [FormatError]: without it a session could be
// run a second time. A file that cannot be read is named in the report and
// left alone.
func Open(ctx context.Context, dir string, options Options) (*History, Report, error) {
	h := &History{
		log: options.Log, pending: map[uint64]day{}, touched: map[day]bool{},
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	// The driver takes the index by its URL, which has no relative form.
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, Report{}, fmt.Errorf("open history: %w", err)
	}
	h.archive = &archive{dir: filepath.Join(dir, archiveDir), publish: publish}
	if err := os.MkdirAll(h.archive.dir, 0o700); err != nil {
		return nil, Report{}, fmt.Errorf("open history: %w", err)
	}
	if err := syncDir(dir); err != nil {
		return nil, Report{}, fmt.Errorf("open history: %w", err)
	}
	report, err := h.start(ctx, dir)
	if err != nil {
		return nil, report, fmt.Errorf("open history: %w", err)
	}
	return h, report, nil
}

// Close notes which folders agree with the index and closes it.
func (h *History) Close(ctx context.Context) error {
	h.gate.Lock()
	defer h.gate.Unlock()
	return errors.Join(h.settle(ctx, -1), h.index.close())
}

// Put archives a finished attempt: first its file, then its row. When it
// returns nil the attempt is durable and the engine may drop it. Putting an
// attempt again replaces it with itself.
//
// After an error, one that is [syscall.ENOSPC] for instance, nothing counts
// that is half done, and Put can be repeated.
func (h *History) Put(ctx context.Context, r *flow.Record) error {
	head, err := headOf(r)
	if err != nil {
		return fmt.Errorf("archive attempt %d: %w", r.Attempt.ID, err)
	}
	id, day := r.Attempt.ID, dayOf(r.FinishedAt)
	h.gate.RLock()
	defer h.gate.RUnlock()
	h.begin(id, day)
	if err := h.archive.writeAttempt(head, r.Tasks); err != nil {
		return fmt.Errorf("archive attempt %d: %w", id, err)
	}
	err = h.index.update(ctx, func(c change) error {
		return errors.Join(c.exec(ctx, insertFolder, day), c.insert(ctx, head))
	})
	if err != nil {
		return fmt.Errorf("index attempt %d: %w", id, h.index.failure(err))
	}
	if !h.end(id) {
		return nil
	}
	if err := h.settle(ctx, day); err != nil {
		return fmt.Errorf("index attempt %d: %w", id, h.index.failure(err))
	}
	return nil
}

// begin notes that a file without a row may appear.
func (h *History) begin(id uint64, d day) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending[id] = d
	h.touched[d] = true
}

// end notes that the row is there. It tells whether folders other than the one
// in use wait to be settled, as they do when the day has changed.
func (h *History) end(id uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pending, id)
	return len(h.touched) > 1
}

// quiet is for how long a folder must not have changed before its time of
// change says anything: two changes within a tick of the file system's clock
// leave the same time.
const quiet = 2 * time.Second

// settle notes the time of change of the folders that agree with the index, so
// that the next start can pass them by, but for the one of day current, which
// changes all the time.
func (h *History) settle(ctx context.Context, current day) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	times := map[day]time.Time{}
	for d := range h.touched {
		changed, err := h.archive.modified(d)
		if d == current || err != nil || time.Since(changed) < quiet || h.waits(d) {
			continue
		}
		times[d] = changed
	}
	if len(times) == 0 {
		return nil
	}
	err := h.index.update(ctx, func(c change) error {
		for d, changed := range times {
			if err := c.exec(ctx, settleFolder, d, changed.UnixNano()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for d := range times {
		delete(h.touched, d)
	}
	return nil
}

// waits tells whether a day's folder may hold a file without a row. The caller
// holds mu.
func (h *History) waits(d day) bool {
	for _, other := range h.pending {
		if other == d {
			return true
		}
	}
	return false
}
