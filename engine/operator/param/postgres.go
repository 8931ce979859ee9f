package param

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"gitdag/engine/operator/pg"
	"gitdag/engine/params"
)

// postgres keeps values in the table `params`, which a Digdag server may share. Each task
// has a connection of its own, so that nothing is left of it.
type postgres struct{ server pg.Server }

// The statements take one JSON text, an object of values or a list of keys. One statement
// is a transaction, and its rows have an order, so that two tasks do not wait for each
// other. Times are those of the server.
const (
	createTable = `CREATE TABLE IF NOT EXISTS params (
		key text NOT NULL, value text NOT NULL, value_type int NOT NULL, site_id integer,
		updated_at timestamp with time zone NOT NULL, created_at timestamp with time zone NOT NULL,
		CONSTRAINT params_site_id_key_uniq UNIQUE (site_id, key))`
	upsert = `INSERT INTO params (key, value, value_type, site_id, updated_at, created_at)
		SELECT key, value, $2::int, $3::int, now(), now() FROM json_each_text($1::json) ORDER BY key
		ON CONFLICT (site_id, key) DO UPDATE SET value = excluded.value, value_type = excluded.value_type, updated_at = now()`
	selectValues = `SELECT key, value FROM params
		WHERE site_id = $3::int AND value_type = $2::int AND key IN (SELECT json_array_elements_text($1::json))
		AND updated_at + interval '1 second' * $4::int >= now()`
)

// The errors of a server that mean something here.
const (
	undefinedTable  = "42P01"
	duplicateTable  = "42P07"
	uniqueViolation = "23505" // what a table created twice at a time can end with
	deadlock        = "40P01" // with a writer that has another order
)

// textual is the type of all values: Digdag has provided for others.
const textual = 0

// tries bounds how often a statement runs: with a table that has to be made, and in a
// deadlock.
const tries = 5

func (p *postgres) set(ctx context.Context, values map[string]string) error {
	m := params.NewMap(len(values))
	for key, text := range values {
		m.Set(key, string(params.AppendJSON(nil, params.Of("value", text))))
	}
	return p.server.Session(ctx, io.Discard, func(ctx context.Context, c *pgconn.PgConn) (err error) {
		for range tries {
			if err = query(ctx, c, upsert, m).Err; code(err) == undefinedTable {
				err = create(ctx, c)
				continue // in the one case it is there now, in the other the next statement tells
			}
			if code(err) != deadlock {
				break
			}
		}
		return wrap(err)
	})
}

func (p *postgres) get(ctx context.Context, keys []string) (map[string]string, error) {
	list := make(params.List, len(keys))
	for i, key := range keys {
		list[i] = key
	}
	found := map[string]string{}
	err := p.server.Session(ctx, io.Discard, func(ctx context.Context, c *pgconn.PgConn) error {
		result := query(ctx, c, selectValues, list, strconv.Itoa(int(keep.Seconds())))
		if code(result.Err) == undefinedTable {
			return nil // nobody has written yet
		}
		for _, row := range result.Rows {
			text, err := unwrap(row[1], 1)
			if err != nil {
				return fmt.Errorf("the value of %q in the table params: %w", row[0], err)
			}
			found[string(row[0])] = text
		}
		return wrap(result.Err)
	})
	return found, err
}

// query runs a statement with a JSON text, the type of values and the site for its first
// arguments.
func query(ctx context.Context, c *pgconn.PgConn, sql string, arg any, more ...string) *pgconn.Result {
	args := [][]byte{params.AppendJSON(nil, arg), []byte(strconv.Itoa(textual)), []byte(strconv.Itoa(site))}
	for _, text := range more {
		args = append(args, []byte(text))
	}
	return c.ExecParams(ctx, sql, args, nil, nil, nil).Read()
}

// create makes the table, unless somebody else does.
func create(ctx context.Context, c *pgconn.PgConn) error {
	err := c.ExecParams(ctx, createTable, nil, nil, nil, nil).Read().Err
	if code := code(err); code == duplicateTable || code == uniqueViolation {
		return nil
	}
	return err
}

func code(err error) string {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return server.Code
	}
	return ""
}

func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("table params: %w", err)
	}
	return nil
}
