package pg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// errStop ends the reading of rows before the last.
var errStop = errors.New("enough rows")

// sink takes the columns of a result, then its rows, which it may not keep.
type sink interface {
	columns(list []pgconn.FieldDescription) error
	row(values [][]byte) error
}

// read runs a query in a transaction that can only read (O18).
func read(ctx context.Context, t *operator.Task, s *Server, r *request, to sink) error {
	return s.Session(ctx, t.Log, func(ctx context.Context, c *pgconn.PgConn) error {
		err := drain(c.Exec(ctx, "BEGIN READ ONLY"))
		if err == nil {
			err = fetch(ctx, c, r.text, to)
		}
		switch code(err) {
		case "":
		case readOnlyTransaction:
			return operator.ConfigError("A query whose results are read must be read-only [%s]", reason(err, script{text: r.text}))
		}
		if err != nil {
			return failed("Failed to run the query", err, script{text: r.text})
		}
		return nil
	})
}

// fetch runs one statement. All values come as texts.
func fetch(ctx context.Context, c *pgconn.PgConn, sql string, to sink) error {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	rows := c.ExecParams(ctx, sql, nil, nil, nil, nil)
	begun := false
	for rows.NextRow() {
		var err error
		if !begun {
			begun = true
			err = to.columns(rows.FieldDescriptions())
		}
		if err == nil {
			err = to.row(rows.Values())
		}
		if err != nil {
			enough() // of whose rows no more are wanted, a statement is ended
			_, _ = rows.Close()
			if err == errStop {
				return nil
			}
			return err
		}
	}
	fields := rows.FieldDescriptions()
	if _, err := rows.Close(); err != nil {
		return err
	}
	if fields == nil {
		return operator.ConfigError("The statement returns no rows")
	}
	if begun {
		return nil
	}
	return to.columns(fields)
}

// downloadResults writes the rows of a query to a CSV file of the project.
func downloadResults(ctx context.Context, t *operator.Task, s *Server, r *request) error {
	file, err := operator.CreateInProject(ctx, t, r.download)
	if err != nil {
		return err
	}
	defer file.Close()
	buffer := bufio.NewWriterSize(file, 64<<10)
	if err := read(ctx, t, s, r, &csvSink{w: buffer}); err != nil {
		return err
	}
	err = buffer.Flush()
	if err == nil {
		err = file.Commit()
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", r.download, err)
	}
	return nil
}

// queryResults returns what of a query is stored: an object, or a list of them.
func queryResults(ctx context.Context, t *operator.Task, s *Server, r *request, limits Limits) (any, error) {
	to := &objectSink{first: r.keep == keepFirst, limits: limits}
	if err := read(ctx, t, s, r, to); err != nil {
		return nil, err
	}
	switch {
	case !to.first:
		return to.rows, nil
	case len(to.rows) == 0:
		return params.NewMap(0), nil
	}
	return to.rows[0], nil
}

// objectSink makes an object of each row.
type objectSink struct {
	first  bool
	limits Limits
	fields []pgconn.FieldDescription
	rows   params.List
}

func (o *objectSink) columns(list []pgconn.FieldDescription) error {
	if len(list) > o.limits.Columns {
		return tooMuch("%d columns are more than store_last_results keeps, which are %d", len(list), o.limits.Columns)
	}
	o.fields = append(o.fields, list...)
	return nil
}

func (o *objectSink) row(values [][]byte) error {
	switch {
	case o.first && len(o.rows) == 1:
		return errStop
	case len(o.rows) == o.limits.Rows:
		return tooMuch("there are more rows than store_last_results keeps, which are %d", o.limits.Rows)
	}
	object := params.NewMap(len(values))
	for i, value := range values {
		if n := utf8.RuneCount(value); n > o.limits.Value {
			return tooMuch("a value of the column %s has %d characters, more than store_last_results keeps, which are %d",
				o.fields[i].Name, n, o.limits.Value)
		}
		object.Set(o.fields[i].Name, parameter(o.fields[i].DataTypeOID, value))
	}
	o.rows = append(o.rows, object)
	return nil
}

func tooMuch(format string, args ...any) error {
	return &operator.Error{Message: "The results are too large: " + fmt.Sprintf(format, args...)}
}
