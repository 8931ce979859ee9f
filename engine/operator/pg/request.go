package pg

import (
	"context"
	"strings"
	"time"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// request is what a task wants done.
type request struct {
	text           string
	create, insert *table
	download       string
	keep           keep
	strict         bool
	status         table
	cleanup        time.Duration // how long what is done stays in the status table
}

// keep is which rows of a result are stored.
type keep string

const (
	keepNothing keep = ""
	keepFirst   keep = "first"
	keepAll     keep = "all"
)

// asKeep takes `store_last_results`.
func asKeep(v any) (keep, string) {
	if text, ok := params.Text(v); ok {
		switch keep(text) {
		case keepFirst, keepAll:
			return keep(text), ""
		}
	}
	switch on, wrong := params.Bool(v); {
	case wrong != "":
		return keepNothing, "first, all or false"
	case on:
		return keepFirst, ""
	}
	return keepNothing, ""
}

// table is the name of one.
type table struct{ schema, name string }

// asTable takes `[schema.]name`, which the first dot divides.
func asTable(v any) (*table, string) {
	text, wrong := params.String(v)
	if wrong != "" {
		return nil, wrong
	}
	schema, name, ok := strings.Cut(text, ".")
	if !ok {
		schema, name = "", text
	}
	if name == "" || ok && schema == "" {
		return nil, "a table, [SCHEMA.]NAME,"
	}
	return &table{schema, name}, ""
}

// String returns the name as SQL has it.
func (t table) String() string {
	if t.schema == "" {
		return identifier(t.name)
	}
	return identifier(t.schema) + "." + identifier(t.name)
}

func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func readRequest(ctx context.Context, t *operator.Task, s *operator.Settings) (*request, error) {
	r := &request{}
	var err error
	if r.text, err = operator.CommandText(ctx, t, s.Config, "query"); err != nil {
		return nil, err
	}
	if strings.ContainsRune(r.text, 0) {
		return nil, operator.ConfigError("The query holds a NUL character")
	}
	if r.create, err = params.Optional(s.Config, "create_table", asTable, nil); err != nil {
		return nil, err
	}
	if r.insert, err = params.Optional(s.Config, "insert_into", asTable, nil); err != nil {
		return nil, err
	}
	if r.download, err = params.Optional(s.Config, "download_file", params.String, ""); err != nil {
		return nil, err
	}
	if r.keep, err = params.Optional(s.Config, "store_last_results", asKeep, keepNothing); err != nil {
		return nil, err
	}
	if err := r.conflict(); err != nil {
		return nil, err
	}
	return r, r.readTransaction(s)
}

// conflict tells which options exclude each other.
func (r *request) conflict() error {
	var given []string
	for _, o := range []struct {
		name string
		on   bool
	}{
		{"create_table", r.create != nil},
		{"insert_into", r.insert != nil},
		{"download_file", r.download != ""},
		{"store_last_results", r.keep != keepNothing},
	} {
		if o.on {
			given = append(given, o.name)
		}
	}
	if len(given) > 1 {
		return operator.ConfigError("Parameters '%s' and '%s' exclude each other", given[0], given[1])
	}
	return nil
}

func (r *request) readTransaction(s *operator.Settings) (err error) {
	if r.strict, err = params.Optional(s.Config, "strict_transaction", params.Bool, true); err != nil {
		return err
	}
	if r.status.name, err = params.Optional(s.Config, "status_table", params.String, "__digdag_status"); err != nil {
		return err
	}
	if r.status.schema, err = params.Optional(s.Config, "status_table_schema", params.String, ""); err != nil {
		return err
	}
	r.cleanup, err = params.Optional(s.Config, "status_table_cleanup", params.Duration, 24*time.Hour)
	return err
}

// script is SQL of which the text behind the first bytes is the author's.
type script struct {
	text  string
	ahead int
}

// script returns what a task that writes runs.
func (r *request) script() script {
	ahead := ""
	switch {
	case r.create != nil:
		ahead = "DROP TABLE IF EXISTS " + r.create.String() + "; CREATE TABLE " + r.create.String() + " AS\n"
	case r.insert != nil:
		ahead = "INSERT INTO " + r.insert.String() + "\n"
	}
	return script{ahead + r.text, len(ahead)}
}
