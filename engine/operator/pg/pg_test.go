package pg_test

import (
	"strings"
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/operator/pg"
	"gitdag/engine/params"
)

func TestWrites(t *testing.T) {
	p := newProject(t)
	p.write("script.sql", "create table a (n int);\ninsert into a values (${n}); -- ${n}\nselect * from a; insert into a values (2)")
	result := mustRun(t, p.inherit(params.Of("n", 1), "pg>", "script.sql"))
	if result.Store != nil || result.Reset != nil {
		t.Errorf("got %+v, want nothing stored", result)
	}
	wantRows(t, p.db.Exec("select * from a order by n"), "1", "2")

	mustRun(t, p.task("pg>", nil, "query", "insert into a values (3)"))
	mustRun(t, p.task("pg>", sql("with x as (select 4 as n) select n from x -- the end"), "insert_into", "public.a"))
	wantRows(t, p.db.Exec("select * from a order by n"), "1", "2", "3", "4")

	p.db.Exec(`create schema "S ""1"; create table "S ""1"."b.c" (old int)`)
	for range 2 {
		mustRun(t, p.task("pg>", sql("select 5 as n, '${x}' as t;"), "create_table", `S "1.b.c`))
		wantRows(t, p.db.Exec(`select * from "S ""1"."b.c"`), "5|${x}")
	}
	mustRun(t, p.task("pg>", sql(""), "schema", `"S ""1"`))
	mustRun(t, p.task("pg>", sql("select 6 as n"), "create_table", "d", "schema", `"S ""1", public`))
	wantRows(t, p.db.Exec(`select * from "S ""1".d`), "6")
}

// TestSession shows what the server sees of a task.
func TestSession(t *testing.T) {
	p := newProject(t)
	t.Setenv("PGAPPNAME", "x")
	t.Setenv("PGOPTIONS", "-c work_mem=1MB")
	t.Setenv("PGPASSWORD", "x")
	query := "select current_setting('application_name') as a, current_setting('search_path') as s, " +
		"(select ssl from pg_stat_ssl where pid = pg_backend_pid()) as tls, current_user as u, current_setting('work_mem') as m"
	got := lastResults(t, mustRun(t, p.task("pg>", sql(query), "store_last_results", "first", "ssl", "true", "schema", "a, b")))
	want := `{"a":"digdag","s":"a, b","tls":true,"u":"postgres","m":"4MB"}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	// A secret wins over a parameter, and the password is a secret only.
	p.db.Exec("create role joe login password 'joes'; create role ann login password 'anns'")
	task := p.task("pg>", sql("select current_user as u"), "store_last_results", true, "user", "nobody", "port", 1, "password", "shown", "password_override", "other")
	task.Secrets = secrets{"pg.user": "joe", "pg.password": "wrong", "pg.other": "joes", "pg.port": text(p.db.Port)}
	if got, want := lastResults(t, mustRun(t, task)), `{"u":"joe"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := p.logged(), "pg: the parameter `password` is ignored: the secret pg.password holds the password\n"; got != want {
		t.Errorf("got log %q, want %q", got, want)
	}
	task = p.task("pg>", sql("select current_user as u"), "store_last_results", true, "user", "ann", "_secrets", params.Of("pg", params.Of("password", "team.pw")))
	task.Secrets = secrets{"team.pw": "anns"}
	if got, want := lastResults(t, mustRun(t, task)), `{"u":"ann"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFailures(t *testing.T) {
	p := newProject(t)
	p.write("bad.sql", "select 1;\nselect öäü\n  from nope;")
	p.write("typo.sql", "select ${typo}")
	tests := []struct {
		name string
		own  []any
		want string
	}{
		{"no file", []any{"pg>", "none.sql"}, "Failed to load a template file: none.sql: openat none.sql: no such file or directory (config)"},
		{"outside", []any{"pg>", "../none.sql"}, "Failed to load a template file: ../none.sql: it is outside of the project (config)"},
		{"no query", []any{"pg>", nil}, "Parameter 'query' is required but not set (config)"},
		{"template", []any{"pg>", "typo.sql"}, "Failed to evaluate the template file typo.sql: "},
		{"place", []any{"pg>", "bad.sql"}, `Failed to run the statement [ERROR: relation "nope" does not exist (SQLSTATE 42P01) at line 3, column 8]`},
		{
			"place behind what is put ahead",
			[]any{"pg>", sql("select 1 as é,\n x"), "create_table", "ü"},
			`Failed to run the statement [ERROR: column "x" does not exist (SQLSTATE 42703) at line 2, column 2]`,
		},
		{
			"place ahead",
			[]any{"pg>", sql("select 1"), "insert_into", "nope"},
			`Failed to run the statement [ERROR: relation "nope" does not exist (SQLSTATE 42P01)]`,
		},
		{
			"detail",
			[]any{"pg>", sql("create table u (n int unique); insert into u values (1), (1)")},
			`Failed to run the statement [ERROR: duplicate key value violates unique constraint "u_n_key" (SQLSTATE 23505); detail: Key (n)=(1) already exists.]`,
		},
		{
			"at the commit",
			[]any{"pg>", sql("create table v (n int unique deferrable initially deferred); insert into v values (1), (1)")},
			`Failed to commit [ERROR: duplicate key value violates unique constraint "v_n_key" (SQLSTATE 23505); detail: Key (n)=(1) already exists.]`,
		},
		{
			"no transaction",
			[]any{"pg>", sql("vacuum")},
			"Failed to run the statement [ERROR: VACUUM cannot run inside a transaction block (SQLSTATE 25001); hint: with strict_transaction: false it runs outside of a transaction]",
		},
		{"create and insert", []any{"pg>", sql("x"), "create_table", "a", "insert_into", "b"}, "Parameters 'create_table' and 'insert_into' exclude each other (config)"},
		{"download and insert", []any{"pg>", sql("x"), "download_file", "a", "insert_into", "b"}, "Parameters 'insert_into' and 'download_file' exclude each other (config)"},
		{"store and create", []any{"pg>", sql("x"), "create_table", "a", "store_last_results", "all"}, "Parameters 'create_table' and 'store_last_results' exclude each other (config)"},
		{"download and store", []any{"pg>", sql("x"), "download_file", "a", "store_last_results", true}, "Parameters 'download_file' and 'store_last_results' exclude each other (config)"},
		{"what to store", []any{"pg>", sql("x"), "store_last_results", "last"}, `Expected first, all or false for key 'store_last_results' but got "last" (string) (config)`},
		{"table", []any{"pg>", sql("x"), "insert_into", "a."}, `Expected a table, [SCHEMA.]NAME, for key 'insert_into' but got "a." (string) (config)`},
		{"port", []any{"pg>", sql("x"), "port", 0}, "Parameter 'port' must be between 1 and 65535, not 0 (config)"},
		{"socket", []any{"pg>", sql("x"), "host", "/var/run/postgresql"}, "Parameter 'host' must be a name or an address (config)"},
		{"timeout", []any{"pg>", sql("x"), "connect_timeout", "0s"}, "Parameters 'connect_timeout' and 'socket_timeout' must be longer than nothing (config)"},
		{"duration", []any{"pg>", sql("x"), "socket_timeout", 5}, `Expected duration such as '1h 30m' for key 'socket_timeout' but got 5 (number) (config)`},
		{"override", []any{"pg>", sql("x"), "password_override", "other"}, "Secret not found for key: 'pg.other' (secret not found)"},
		{"no database", []any{"pg>", sql("x"), "database", nil}, "Parameter 'database' is required but null (config)"},
		{"NUL", []any{"pg>", sql("select '\x00'")}, "The query holds a NUL character (config)"},
		{
			"copy",
			[]any{"pg>", sql("create table w (n int); copy w from stdin")},
			"Failed to run the statement [COPY … FROM STDIN has nothing to read here]",
		},
		{
			"copy as a query",
			[]any{"pg>", sql("copy pg_class from stdin"), "download_file", "x"},
			"A query whose results are read must be read-only [ERROR: cannot execute COPY FROM in a read-only transaction (SQLSTATE 25006)] (config)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := run(t, p.task(tt.own...))
			if err == nil || err.Error() != tt.want && !(strings.HasSuffix(tt.want, ": ") && strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("got\n  %v\nwant\n  %s", err, tt.want)
			}
		})
	}
	wantRows(t, p.db.Exec("select relname from pg_class where relname in ('u', 'v', 'w')"))

	task := p.task("pg>", sql("x"))
	task.Secrets = secrets{"pg.password": "x", "pg.port": "canary"}
	wantFailure(t, task, "Expected integer (int) type for the secret 'pg.port' (config)")
}

func TestNotices(t *testing.T) {
	p := newProject(t)
	mustRun(t, p.task("pg>", sql("do $x$ begin raise notice 'half % done', 1; raise warning 'careful'; end $x$")))
	if got, want := p.logged(), "NOTICE: half 1 done\nWARNING: careful\n"; got != want {
		t.Errorf("got log %q, want %q", got, want)
	}
}

func TestWithoutTransaction(t *testing.T) {
	p := newProject(t)
	mustRun(t, p.task("pg>", sql("create table a as select 1 as n"), "strict_transaction", false))
	mustRun(t, p.task("pg>", sql("vacuum a"), "strict_transaction", "false"))
	if got := p.db.Exec("select relname from pg_class where relname like '%digdag%'"); len(got) > 0 {
		t.Errorf("got %v, want no status table", got)
	}
}

func TestEntry(t *testing.T) {
	if e := pg.Operator(pg.Limits{}); !e.Retries || e.Pure || e.Options != nil {
		t.Errorf("got %+v, want an operator whose failures _retry covers", e)
	}
	var _ operator.Operator = pg.Operator(pg.Limits{}).Operator
}
