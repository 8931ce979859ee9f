package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gitdag/internal/atomicfile"
)

// Report tells what a start had to put right.
type Report struct {
	// Rebuilt tells that the index was made anew, and Why what was wrong with
	// the old one.
	Rebuilt bool
	Why     string
	// Folders is how many folders were looked through; Added and Removed how
	// many attempts entered the index and left it.
	Folders, Added, Removed int
	// Damaged names files that cannot be read. Each start names them again.
	Damaged []string
}

// start opens the index and brings it in line with the archive. An index that
// turns out to be damaged on the way is made anew, once.
func (h *History) start(ctx context.Context, dir string) (Report, error) {
	path := filepath.Join(dir, indexName)
	why := reasonToRebuild(dir)
	for again := false; ; again = true {
		report, err := h.attempt(ctx, path, why)
		if err == nil {
			h.tell(&report)
			return report, nil
		}
		if again || !worthless(err) {
			return report, err
		}
		why = err.Error()
	}
}

// worthless tells whether an error says that the index is of no use, rather
// than that the disk or the archive is at fault.
func worthless(err error) bool {
	var old *versionError
	c := code(err)
	return errors.As(err, &old) || c == codeCorrupt || c == codeNotADB || c == codeError || errors.Is(err, ErrDamaged)
}

// reasonToRebuild tells why the index cannot be used as it is; empty if
// nothing is known against it.
func reasonToRebuild(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, rebuildName)); err == nil {
		return "damage was found in it"
	}
	info, err := os.Stat(filepath.Join(dir, indexName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it was missing"
	case err == nil && info.Size() == 0:
		return "it was empty"
	}
	return ""
}

// attempt opens the index, after removing it if there is a reason to, and
// reconciles it. After an error nothing is open.
func (h *History) attempt(ctx context.Context, path, why string) (Report, error) {
	report := Report{Rebuilt: why != "", Why: why}
	if report.Rebuilt {
		if err := removeIndex(path); err != nil {
			return report, err
		}
	}
	x, err := openIndex(ctx, path)
	if err != nil {
		return report, err
	}
	h.index = x
	if report.Rebuilt {
		h.log.Info("making the history index from the archive", "reason", why)
		err = forget(filepath.Join(filepath.Dir(path), rebuildName))
	}
	if err == nil {
		err = h.reconcile(ctx, &report)
	}
	if err != nil {
		return report, errors.Join(err, x.close())
	}
	return report, nil
}

func forget(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (h *History) tell(r *Report) {
	if r.Rebuilt || r.Added+r.Removed > 0 {
		h.log.Info("the history index agrees with the archive",
			"rebuilt", r.Rebuilt, "folders", r.Folders, "added", r.Added, "removed", r.Removed)
	}
	for _, err := range r.Damaged {
		h.log.Warn("an archived attempt cannot be read", "err", err)
	}
}

// reconcile makes the rows agree with the files of every folder that has
// changed.
func (h *History) reconcile(ctx context.Context, report *Report) error {
	settled := map[day]int64{}
	err := h.index.read(ctx, `SELECT day, settled FROM folder`, nil, func(scan func(...any) error) error {
		var d day
		var at int64
		err := scan(&d, &at)
		settled[d] = at
		return err
	})
	if err != nil {
		return err
	}
	days, err := h.archive.folders()
	if err != nil {
		return err
	}
	for _, d := range days {
		changed, err := h.archive.modified(d)
		if err != nil {
			return err
		}
		if at, ok := settled[d]; !ok || at != changed.UnixNano() {
			if err := h.lookThrough(ctx, d, changed, report); err != nil {
				return err
			}
		}
		delete(settled, d)
	}
	for d := range settled {
		if err := h.dropFolder(ctx, d, report); err != nil {
			return err
		}
	}
	return nil
}

// lookThrough makes the rows of a day agree with its folder, which was last
// changed at a time taken before.
func (h *History) lookThrough(ctx context.Context, d day, changed time.Time, report *Report) error {
	report.Folders++
	files, expired, err := h.files(d)
	if err != nil {
		return err
	}
	rows, err := h.rows(ctx, d)
	if err != nil {
		return err
	}
	add, gone := differences(files, rows)
	unread := len(report.Damaged)
	for part := range slices.Chunk(add, batch) {
		if err := h.add(ctx, d, part, report); err != nil {
			return err
		}
	}
	if err := h.loadExpired(ctx, d, expired, report); err != nil {
		return err
	}
	var settled int64
	if whole := len(report.Damaged) == unread; whole && time.Since(changed) >= quiet {
		settled = changed.UnixNano()
	} else if whole {
		h.touched[d] = true
	}
	err = h.index.update(ctx, func(c change) error {
		for _, id := range gone {
			if err := c.remove(ctx, id); err != nil {
				return err
			}
		}
		return c.exec(ctx, settleFolder, d, settled)
	})
	report.Removed += len(gone)
	return err
}

// batch is how many attempts are handled in one transaction.
const batch = 1000

// files returns the attempts that have a file in a day's folder, in order, and
// whether it has a list of expired ones. It removes what a crash left behind.
func (h *History) files(d day) (ids []uint64, expired bool, err error) {
	folder := h.archive.folder(d)
	f, err := os.Open(folder)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = f.Close() }()
	temps := false
	for {
		// In parts, as a folder may have a million names.
		names, err := f.Readdirnames(batch)
		for _, name := range names {
			id, ok := parseAttempt(name)
			switch {
			case ok:
				ids = append(ids, id)
			case name == expiredName:
				expired = true
			case strings.HasSuffix(name, ".tmp"):
				temps = true
			}
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(ids)
			if temps {
				return ids, expired, atomicfile.CleanTemps(folder)
			}
			return ids, expired, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
}

// rows returns the attempts that have a row for a day, in order.
func (h *History) rows(ctx context.Context, d day) ([]uint64, error) {
	var ids []uint64
	args := []any{d.start().UnixMilli(), (d + 1).start().UnixMilli()}
	err := h.index.read(ctx, `SELECT id FROM attempt WHERE finished >= ? AND finished < ?`, args,
		func(scan func(...any) error) error {
			var id uint64
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
	slices.Sort(ids)
	return ids, err
}

// differences walks along two ordered lists and returns what only one of them
// has.
func differences(files, rows []uint64) (add, gone []uint64) {
	for len(files) > 0 || len(rows) > 0 {
		switch {
		case len(rows) == 0 || (len(files) > 0 && files[0] < rows[0]):
			add, files = append(add, files[0]), files[1:]
		case len(files) == 0 || rows[0] < files[0]:
			gone, rows = append(gone, rows[0]), rows[1:]
		default:
			files, rows = files[1:], rows[1:]
		}
	}
	return add, gone
}

// add gives rows to attempts that have a file.
func (h *History) add(ctx context.Context, d day, ids []uint64, report *Report) error {
	return h.index.update(ctx, func(c change) error {
		for _, id := range ids {
			head, err := h.archive.readHead(d, id)
			var newer *FormatError
			switch {
			case errors.As(err, &newer):
				return err
			case err != nil:
				report.Damaged = append(report.Damaged, err.Error())
				continue
			}
			if err := c.insert(ctx, head); err != nil {
				return err
			}
			report.Added++
		}
		return nil
	})
}

// dropFolder removes what the index has of a day whose folder is gone.
func (h *History) dropFolder(ctx context.Context, d day, report *Report) error {
	rows, err := h.rows(ctx, d)
	if err != nil {
		return err
	}
	err = h.index.update(ctx, func(c change) error {
		for _, id := range rows {
			if err := c.remove(ctx, id); err != nil {
				return err
			}
		}
		return errors.Join(c.exec(ctx, deleteExpired, d), c.exec(ctx, deleteFolder, d))
	})
	report.Removed += len(rows)
	return err
}

// versionError tells that another version of gitdag made the index.
type versionError struct{ version int }

func (e *versionError) Error() string {
	return fmt.Sprintf("it has version %d instead of %d", e.version, indexVersion)
}
