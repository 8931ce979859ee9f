package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

const (
	// lockWait is how long a row that another execution holds is waited for before the
	// task gives up its slot.
	lockWait = 200 * time.Millisecond
	// longestPoll bounds the time until it is looked for again.
	longestPoll = 1200 * time.Second
	// lockRetries counts the looks in the task's state.
	lockRetries = "lock_retries"
)

var errRolledBack = errors.New("the server has rolled the transaction back")

// write runs a script for its effect.
func write(ctx context.Context, t *operator.Task, s *Server, r *request) error {
	return s.Session(ctx, t.Log, func(ctx context.Context, c *pgconn.PgConn) error {
		if !r.strict {
			return execute(ctx, c, r.script())
		}
		return writeOnce(ctx, c, t, r)
	})
}

// execute runs a script, whose results nobody wants: in one transaction, unless it says
// otherwise itself.
func execute(ctx context.Context, c *pgconn.PgConn, s script) error {
	if err := drain(c.Exec(ctx, s.text)); err != nil {
		return failed("Failed to run the statement", err, s)
	}
	return nil
}

func drain(results *pgconn.MultiResultReader) error {
	for results.NextResult() {
		for rows := results.ResultReader(); rows.NextRow(); {
		}
	}
	return results.Close()
}

// writeOnce runs a script in a transaction that also marks it as done in the status
// table, unless it is marked already. An execution that dies leaves neither the effect
// nor the mark, or both.
func writeOnce(ctx context.Context, c *pgconn.PgConn, t *operator.Task, r *request) error {
	m := &mark{table: r.status, id: uuid.NewSHA1(uuid.NameSpaceOID, []byte("gitdag/"+t.Key)).String()}
	done, err := m.begin(ctx, c)
	if code(err) == undefinedTable {
		if err := m.create(ctx, c); err != nil {
			return err
		}
		done, err = m.begin(ctx, c)
	}
	switch found := code(err); {
	case found == lockNotAvailable || found == serializationFailure:
		return again(t)
	case err != nil:
		return failed("Failed to mark the task in the status table "+m.table.String(), err, script{})
	case done:
		_, err := io.WriteString(t.Log, "pg: an earlier execution of this task has done it\n")
		return err
	}
	if err := execute(ctx, c, r.script()); err != nil {
		return err
	}
	if c.TxStatus() != 'T' {
		fmt.Fprintln(t.Log, "pg: the script ends the transaction itself, so that what it has done may be done again after a crash")
	}
	committed, err := m.finish(ctx, c, r.cleanup)
	if err != nil && committed {
		fmt.Fprintf(t.Log, "pg: %v\n", failed("the status table is not cleaned", err, script{}))
		return nil
	}
	if err == nil && !committed {
		err = errRolledBack
	}
	if err != nil {
		return failed("Failed to commit", err, script{})
	}
	return nil
}

// again has the task executed again when the other execution may have come to its end.
func again(t *operator.Task) error {
	n, err := params.Optional(t.State, lockRetries, params.Int, 0)
	if err != nil {
		return err
	}
	after := longestPoll
	if n < 11 {
		after = min(time.Duration(math.Exp2(float64(n)))*time.Second, longestPoll)
	}
	return &operator.Poll{After: after, State: params.Of(lockRetries, n+1)}
}

// mark is a row of the status table.
type mark struct {
	table table
	id    string // needs no quoting
}

// begin begins a transaction that holds the row, and tells whether the task is done. The
// row may be there from a script that ended its transaction itself.
func (m *mark) begin(ctx context.Context, c *pgconn.PgConn) (done bool, err error) {
	results, err := c.Exec(ctx, fmt.Sprintf(`BEGIN;
SET LOCAL lock_timeout = '%dms';
INSERT INTO %[2]s AS s (query_id, created_at) VALUES ('%[3]s', CURRENT_TIMESTAMP)
ON CONFLICT (query_id) DO UPDATE SET query_id = excluded.query_id RETURNING s.completed_at IS NOT NULL;
SET LOCAL lock_timeout TO DEFAULT`, lockWait.Milliseconds(), m.table, m.id)).ReadAll()
	if err != nil {
		return false, err
	}
	for _, r := range results {
		for _, row := range r.Rows {
			done = string(row[0]) == "t"
		}
	}
	return done, nil
}

// finish marks the task as done and commits, and removes what was done longer ago than
// age, all with one message: an error may come after the commit. The row itself stays, for
// the task's next execution may need it.
func (m *mark) finish(ctx context.Context, c *pgconn.PgConn, age time.Duration) (committed bool, err error) {
	sql := strings.NewReplacer("$table", m.table.String(), "$id", m.id, "$age", strconv.FormatInt(int64(age.Seconds()), 10)).Replace(
		`UPDATE $table SET completed_at = clock_timestamp() WHERE query_id = '$id'; COMMIT;
DELETE FROM $table WHERE query_id IN (
SELECT query_id FROM $table WHERE completed_at < CURRENT_TIMESTAMP - interval '$age seconds' AND query_id <> '$id'
FOR UPDATE SKIP LOCKED)`)
	if c.TxStatus() != 'T' {
		sql = "BEGIN; " + sql
	}
	results := c.Exec(ctx, sql)
	for results.NextResult() {
		if tag, err := results.ResultReader().Close(); err == nil && tag.String() == "COMMIT" {
			committed = true
		}
	}
	return committed, results.Close()
}

// create makes the status table, after a transaction that has not found it. Another task
// may do so at the same time.
func (m *mark) create(ctx context.Context, c *pgconn.PgConn) error {
	err := drain(c.Exec(ctx, fmt.Sprintf(`ROLLBACK; CREATE TABLE IF NOT EXISTS %s (
query_id text NOT NULL UNIQUE, created_at timestamptz NOT NULL, completed_at timestamptz)`, m.table)))
	switch code(err) {
	case "42P07", "23505": // the other one was faster
		return nil
	}
	if err == nil {
		return nil
	}
	return failed(fmt.Sprintf("Failed to create the status table %s: strict_transaction needs one. Create it beforehand with (query_id text NOT NULL UNIQUE, "+
		"created_at timestamptz NOT NULL, completed_at timestamptz) and GRANT SELECT, INSERT, UPDATE, DELETE on it, name another schema "+
		"with status_table_schema, or set strict_transaction: false", m.table), err, script{})
}
