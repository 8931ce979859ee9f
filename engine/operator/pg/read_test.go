package pg_test

import (
	"strconv"
	"strings"
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/operator/pg"
	"gitdag/engine/params"
)

func text(n int) string { return strconv.Itoa(n) }

// lastResults returns what a task has stored as `pg.last_results`, and checks that it
// replaces what was there.
func lastResults(t testing.TB, r *operator.Result) string {
	t.Helper()
	if len(r.Reset) != 1 || r.Reset[0] != "pg.last_results" {
		t.Errorf("got reset %v, want pg.last_results", r.Reset)
	}
	family, _ := r.Store.Lookup("pg")
	results, ok := family.(*params.Map).Lookup("last_results")
	if !ok || r.Store.Len() != 1 {
		t.Fatalf("got %v stored, want pg.last_results", r.Store)
	}
	return string(params.AppendJSON(nil, results))
}

// TestStoreLastResults shows what is stored, in place of what was there (O18).
func TestStoreLastResults(t *testing.T) {
	p := newProject(t)
	tests := []struct {
		query string
		keep  any
		want  string
	}{
		{"select 1 as a, 'x' as b union all select 2, null order by 1", "first", `{"a":1,"b":"x"}`},
		{"select 1 as a, 'x' as b union all select 2, null order by 1", "all", `[{"a":1,"b":"x"},{"a":2,"b":null}]`},
		{"select n from generate_series(1, 1000000) n", true, `{"n":1}`},
		{"select 1 as a where false", "first", `{}`},
		{"select 1 as a where false", "all", `[]`},
		{"values (1, 2); ", "all", `[{"column1":1,"column2":2}]`},
		{"select 1 as a, 2 as a", "first", `{"a":2}`},
		{"show server_encoding", "first", `{"server_encoding":"UTF8"}`},
		{
			`select true as b, false as f, 9007199254740993::bigint as i, 1.50::numeric as n, 1e300::float8 as d, 'NaN'::float8 as x, 'Infinity'::numeric as y, 3::oid as o`,
			"first",
			`{"b":true,"f":false,"i":9007199254740993,"n":1.50,"d":1e+300,"x":"NaN","y":"Infinity","o":3}`,
		},
		{
			`select date '2024-01-02' as d, timestamptz '2024-01-02 03:04:05.5+00' as t, interval '1 day 2 hours' as i, '{1,2}'::int[] as a, '{"k": 1}'::json as j, '\x01ff'::bytea as y, '${a}é"\' as s`,
			"first",
			`{"d":"2024-01-02","t":"2024-01-02 03:04:05.5+00","i":"1 day 02:00:00","a":"{1,2}","j":"{\"k\": 1}","y":"\\x01ff","s":"${a}é\"\\"}`,
		},
	}
	for _, tt := range tests {
		if got := lastResults(t, mustRun(t, p.task("pg>", sql(tt.query), "store_last_results", tt.keep))); got != tt.want {
			t.Errorf("%s: got\n  %s\nwant\n  %s", tt.query, got, tt.want)
		}
	}
}

// TestReadsOnly shows that what is read cannot write (O18).
func TestReadsOnly(t *testing.T) {
	p := newProject(t)
	p.db.Exec("create table a (n int); create sequence s")
	const refused = "A query whose results are read must be read-only [ERROR: cannot execute %s in a read-only transaction (SQLSTATE 25006)] (config)"
	for query, command := range map[string]string{
		"with x as (insert into a values (1) returning n) select * from x":    "SELECT",
		"delete from a returning n":                                           "DELETE",
		"select nextval('s') as n":                                            "nextval()",
		"create table b as select 1":                                          "CREATE TABLE AS",
		"explain analyze insert into a values (1)":                            "INSERT",
		"select set_config('transaction_read_only', 'off', true), (select 1)": "",
	} {
		for _, how := range [][]any{{"store_last_results", "all"}, {"download_file", "out.csv"}} {
			task := p.task(append([]any{"pg>", sql(query)}, how...)...)
			if command == "" {
				if _, err := run(t, task); err == nil || !strings.Contains(err.Error(), "read-write mode") {
					t.Errorf("%s: got %v, want a failure", query, err)
				}
				continue
			}
			wantFailure(t, task, strings.Replace(refused, "%s", command, 1))
		}
	}
	wantRows(t, p.db.Exec("select * from a"))
	for query, want := range map[string]string{
		"select 1; drop table a": "Failed to run the query [ERROR: cannot insert multiple commands into a prepared statement (SQLSTATE 42601)]",
		"set work_mem = '1MB'":   "The statement returns no rows (config)",
		"":                       "The statement returns no rows (config)",
		"select 1/0 as n":        "Failed to run the query [ERROR: division by zero (SQLSTATE 22012)]",
		"select\n nope":          `Failed to run the query [ERROR: column "nope" does not exist (SQLSTATE 42703) at line 2, column 2]`,
		// Some rows are there before it fails.
		"select 1/(n - 5000) from generate_series(1, 10000) n": "Failed to run the query [ERROR: division by zero (SQLSTATE 22012)]",
	} {
		wantFailure(t, p.task("pg>", sql(query), "download_file", "out.csv"), want)
	}
	if left, _ := p.files(); len(left) > 0 {
		t.Errorf("got files %v, want none", left)
	}
}

func TestLimitsOfResults(t *testing.T) {
	p := newProject(t)
	tests := []struct{ query, keep, want string }{
		{"select n from generate_series(1, 3) n", "all", ""},
		{"select n from generate_series(1, 1000000) n", "all", "there are more rows than store_last_results keeps, which are 3"},
		{"select n from generate_series(1, 4) n", "first", ""},
		{"select 1 as a, 2 as b, 3 as c", "first", "3 columns are more than store_last_results keeps, which are 2"},
		{"select 1 as a, 2 as b, 3 as c where false", "all", "3 columns are more than store_last_results keeps, which are 2"},
		{"select repeat('é', 5) as a", "all", ""},
		{"select 1 as a, repeat('é', 6) as b", "first", "a value of the column b has 6 characters, more than store_last_results keeps, which are 5"},
	}
	for _, tt := range tests {
		task := p.task("pg>", sql(tt.query), "store_last_results", tt.keep)
		_, err := pg.Operator(pg.Limits{Rows: 3, Columns: 2, Value: 5}).Operator.Run(t.Context(), task)
		want := "The results are too large: " + tt.want
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: got %v, want %s", tt.query, err, want)
		}
	}
	for query, want := range map[string]string{
		"select n from generate_series(1, 8193) n": "The results are too large: there are more rows than store_last_results keeps, which are 8192",
		"select repeat('x', 257) as n":             "The results are too large: a value of the column n has 257 characters, more than store_last_results keeps, which are 256",
	} {
		wantFailure(t, p.task("pg>", sql(query), "store_last_results", "all"), want)
	}
}

func TestDownloadFile(t *testing.T) {
	p := newProject(t)
	query := `select * from (values
(1, 'plain', true, 1.50::numeric, null),
(2, '', false, null, 'a,b'),
(3, E'line\r\nline\rline\nend', null, 3, 'say "hi"'),
(4, ' space ', true, 4, '\')) x ("n", "a ""text""", "b", c, "d,e")`
	mustRun(t, p.task("pg>", sql(query), "download_file", "out.csv"))
	want := "n,\"a \"\"text\"\"\",b,c,\"d,e\"\r\n" +
		"1,plain,true,1.50,\r\n" +
		"2,\"\",false,,\"a,b\"\r\n" +
		"3,\"line\nline\nline\nend\",,3,\"say \"\"hi\"\"\"\r\n" +
		"4, space ,true,4,\\\r\n"
	if got := p.read("out.csv"); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	mustRun(t, p.task("pg>", sql("select 1 as a, date '2024-01-02' as d where false"), "download_file", "out.csv"))
	if got, want := p.read("out.csv"), "a,d\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// More than any buffer, in constant memory.
	mustRun(t, p.task("pg>", sql("select n, repeat('x', 1000) as x from generate_series(1, 10000) n"), "download_file", "out.csv"))
	if got := p.read("out.csv"); strings.Count(got, "\r\n") != 10001 || !strings.HasSuffix(got, "x\r\n") {
		t.Errorf("got %d lines, want 10001", strings.Count(got, "\r\n"))
	}
	wantFailure(t, p.task("pg>", sql("select 1 as a"), "download_file", "../out.csv"), "Failed to write ../out.csv: it is outside of the project (config)")
	wantFailure(t, p.task("pg>", sql("select 1 as a"), "download_file", "none/out.csv"), "write none/out.csv: no such file or directory (runtime)")
	if got, _ := p.files(); len(got) != 1 {
		t.Errorf("got files %v, want out.csv only", got)
	}
}
