package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"modernc.org/sqlite"
)

const (
	indexName = "history.db"
	// rebuildName is a file that asks for a new index at the next start.
	rebuildName = "history.db-rebuild"
	// indexVersion rises with every change of the schema or of what a row
	// holds. An index of any other version is thrown away.
	indexVersion = 3
)

// The rows hold what an attempt's first line says, as encodeRow writes it, and
// beside it what queries look for. An index of one column is ordered by the row's id
// within equal values, which is what the lists of newest first walk along.
//
// A session has a row while it has an attempt; checkout is that of its newest
// one, last, if that did not succeed and may be retried. Those of `expired`
// stand for attempts whose files are gone: they are no longer listed, but their
// names stay taken.
//
// A definition has a row while the newest attempt that ran it is there: what
// can be started again, and what its objects are kept for.
//
// `folder` has a row a day. settled is the folder's time of change when it was
// known to agree with the rows, 0 if it may not.
const schema = `
CREATE TABLE attempt (
	id INTEGER PRIMARY KEY, session INTEGER NOT NULL, project INTEGER NOT NULL, workflow TEXT NOT NULL,
	number INTEGER NOT NULL, name TEXT NOT NULL, finished INTEGER NOT NULL, duration INTEGER NOT NULL,
	succeeded INTEGER NOT NULL, head BLOB NOT NULL);
CREATE INDEX attempt_session ON attempt (session);
CREATE INDEX attempt_project ON attempt (project);
CREATE INDEX attempt_workflow ON attempt (project, workflow);
CREATE INDEX attempt_finished ON attempt (finished);
CREATE INDEX attempt_success ON attempt (project, workflow, finished) WHERE succeeded = 1;
CREATE TABLE session (
	id INTEGER PRIMARY KEY, uuid TEXT NOT NULL, project INTEGER NOT NULL, workflow TEXT NOT NULL,
	time INTEGER NOT NULL, last INTEGER NOT NULL, checkout TEXT);
CREATE INDEX session_time ON session (project, workflow, time);
CREATE INDEX session_project ON session (project);
CREATE INDEX session_workflow ON session (project, workflow);
CREATE INDEX session_last ON session (last);
CREATE INDEX session_project_last ON session (project, last);
CREATE INDEX session_workflow_last ON session (project, workflow, last);
CREATE INDEX session_checkout ON session (checkout) WHERE checkout IS NOT NULL;
CREATE TABLE expired (
	id INTEGER PRIMARY KEY, day INTEGER NOT NULL, session INTEGER NOT NULL, uuid TEXT NOT NULL,
	project INTEGER NOT NULL, workflow TEXT NOT NULL, time INTEGER NOT NULL, number INTEGER NOT NULL,
	name TEXT NOT NULL);
CREATE INDEX expired_session ON expired (project, workflow, time);
CREATE INDEX expired_day ON expired (day);
CREATE TABLE definition (
	id INTEGER PRIMARY KEY, project INTEGER NOT NULL, revision TEXT NOT NULL, ref TEXT NOT NULL,
	last INTEGER NOT NULL);
CREATE INDEX definition_revision ON definition (project, revision);
CREATE INDEX definition_last ON definition (last);
CREATE INDEX definition_ref ON definition (ref);
CREATE TABLE folder (day INTEGER PRIMARY KEY, settled INTEGER NOT NULL);
`

const (
	insertAttempt = `INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertSession = `INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET last = excluded.last, checkout = excluded.checkout WHERE excluded.last >= last`
	insertExpired    = `INSERT OR REPLACE INTO expired VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertDefinition = `INSERT INTO definition VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET last = max(last, excluded.last)`
	insertFolder = `INSERT INTO folder VALUES (?, 0) ON CONFLICT (day) DO NOTHING`
	settleFolder = `INSERT INTO folder VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET settled = excluded.settled`

	deleteAttempt    = `DELETE FROM attempt WHERE id = ? RETURNING session`
	deleteSession    = `DELETE FROM session WHERE id = ?`
	newestLeft       = `SELECT head FROM attempt WHERE session = ? ORDER BY id DESC LIMIT 1`
	relinkSession    = `UPDATE session SET last = ?, checkout = ? WHERE id = ?`
	deleteDefinition = `DELETE FROM definition WHERE last = ?`
	deleteExpired    = `DELETE FROM expired WHERE day = ?`
	deleteFolder     = `DELETE FROM folder WHERE day = ?`
)

// index is the database. One connection writes; the others read, and go when
// they are idle.
type index struct {
	path           string
	writer, reader *sql.DB

	// changes are the writer's statements, prepared when it is opened: a
	// transaction holds its only connection.
	changes map[string]*sql.Stmt
	mu      sync.Mutex
	queries map[string]*sql.Stmt // guarded by mu
}

// openIndex opens the index that is there and makes one if there is none. Any
// error but that of a full or unwritable disk means that the file is of no
// use.
func openIndex(ctx context.Context, path string) (*index, error) {
	x := &index{path: path, changes: map[string]*sql.Stmt{}, queries: map[string]*sql.Stmt{}}
	var err error
	if x.writer, err = sql.Open("sqlite", dsn(path, "_txlock=immediate")); err != nil {
		return nil, err
	}
	x.writer.SetMaxOpenConns(1)
	if x.reader, err = sql.Open("sqlite", dsn(path, "_pragma=query_only(1)")); err != nil {
		return nil, errors.Join(err, x.writer.Close())
	}
	x.reader.SetMaxOpenConns(4)
	x.reader.SetMaxIdleConns(4)
	x.reader.SetConnMaxIdleTime(time.Minute)
	if err := x.prepare(ctx); err != nil {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

// dsn names the database with the settings of every connection. synchronous is
// NORMAL: in WAL mode that syncs at checkpoints only, so that a commit is
// cheap. A power cut may take the last rows, never the consistency of the
// file, and what rows are missing the archive has. The cache is small because
// the operating system's cache holds the same pages.
func dsn(path, more string) string {
	u := url.URL{
		Scheme: "file", Path: filepath.ToSlash(path),
		RawQuery: "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=cache_size(-2000)&_pragma=journal_size_limit(16777216)&" + more,
	}
	return u.String()
}

// prepare checks the version and makes the tables of a new index. It reads
// through the schema, so that a file that is no database or is cut short shows.
func (x *index) prepare(ctx context.Context) error {
	var version, tables int
	if err := x.writer.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if err := x.writer.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return err
	}
	switch {
	case version == 0 && tables == 0:
		create := fmt.Sprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT", schema, indexVersion)
		if _, err := x.writer.ExecContext(ctx, create); err != nil {
			return err
		}
	case version != indexVersion:
		return &versionError{version}
	}
	for _, q := range []string{
		insertAttempt, insertSession, insertExpired, insertDefinition, insertFolder, settleFolder,
		deleteAttempt, deleteSession, newestLeft, relinkSession, deleteDefinition, deleteExpired, deleteFolder,
	} {
		var err error
		if x.changes[q], err = x.writer.PrepareContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func (x *index) close() error { return errors.Join(x.reader.Close(), x.writer.Close()) }

// remove deletes the index with what belongs to it.
func removeIndex(path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// change is a transaction that writes.
type change struct {
	*sql.Tx
	index *index
}

func (c change) statement(ctx context.Context, q string) *sql.Stmt {
	return c.StmtContext(ctx, c.index.changes[q])
}

func (c change) exec(ctx context.Context, q string, args ...any) error {
	_, err := c.statement(ctx, q).ExecContext(ctx, args...)
	return err
}

// update runs do in a transaction.
func (x *index) update(ctx context.Context, do func(change) error) error {
	tx, err := x.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(change{tx, x}); err != nil {
		_ = tx.Rollback() // it is over already if the context ended
		return err
	}
	return tx.Commit()
}

// insert adds an attempt, or does nothing new if it is there.
func (c change) insert(ctx context.Context, h *wireHead) error {
	a, s := &h.Attempt, &h.Session
	err := c.exec(ctx, insertAttempt, a.ID, s.ID, a.Project, a.Workflow, a.Index, a.RetryName,
		h.FinishedAt.UnixMilli(), h.FinishedAt.Sub(h.CreatedAt).Milliseconds(), h.Succeeded, encodeRow(h))
	if err != nil {
		return err
	}
	err = c.exec(ctx, insertSession, s.ID, s.UUID, s.Project, s.Workflow, s.Time.Unix(), a.ID, toRetry(a.Checkout, h.Succeeded))
	if err != nil || a.Ref == "" {
		return err
	}
	return c.exec(ctx, insertDefinition, a.Definition, a.Project, a.Revision, a.Ref, a.ID)
}

// remove takes an attempt out, and its session if it has none left.
func (c change) remove(ctx context.Context, id uint64) error {
	var session uint64
	err := c.statement(ctx, deleteAttempt).QueryRowContext(ctx, id).Scan(&session)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(c.relink(ctx, session), c.exec(ctx, deleteDefinition, id))
}

// relink makes the newest attempt that a session has left its last.
func (c change) relink(ctx context.Context, session uint64) error {
	var head []byte
	err := c.statement(ctx, newestLeft).QueryRowContext(ctx, session).Scan(&head)
	if errors.Is(err, sql.ErrNoRows) {
		return c.exec(ctx, deleteSession, session)
	}
	if err != nil {
		return err
	}
	last, err := decodeRow(head)
	if err != nil {
		return err
	}
	return c.exec(ctx, relinkSession, last.Attempt.ID, toRetry(last.Attempt.Checkout, last.Succeeded), session)
}

// toRetry is the checkout that an attempt may be retried with.
func toRetry(checkout string, succeeded bool) sql.NullString {
	return sql.NullString{String: checkout, Valid: checkout != "" && !succeeded}
}

// read calls row for each row of a query's answer.
func (x *index) read(ctx context.Context, q string, args []any, row func(scan func(...any) error) error) error {
	statement, err := x.query(ctx, q)
	if err != nil {
		return err
	}
	rows, err := statement.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// query returns the prepared statement for one of the fixed texts.
func (x *index) query(ctx context.Context, q string) (*sql.Stmt, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s := x.queries[q]; s != nil {
		return s, nil
	}
	s, err := x.reader.PrepareContext(ctx, q)
	if err == nil {
		x.queries[q] = s
	}
	return s, err
}

// ErrDamaged tells that the index cannot be read or written as it is. The
// next [Open] makes a new one.
var ErrDamaged = errors.New("the history index is damaged and is made anew at the next start")

// SQLite's result codes, in the low byte of what the driver returns.
const (
	codeError   = 1
	codeCorrupt = 11
	codeFull    = 13
	codeNotADB  = 26
)

func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// failure adds to an error of the index what a caller has to know: that the
// disk is full, or that the index has to be made anew, which it sees to.
func (x *index) failure(err error) error {
	switch c := code(err); {
	case c == codeFull:
		return fmt.Errorf("%w: %w", err, syscall.ENOSPC)
	case c == codeCorrupt, c == codeNotADB, errors.Is(err, errRow):
		request := os.WriteFile(filepath.Join(filepath.Dir(x.path), rebuildName), nil, 0o600)
		return errors.Join(fmt.Errorf("%w: %w", ErrDamaged, err), request)
	}
	return err
}
