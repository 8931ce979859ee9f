package param_test

import (
	"strings"
	"sync"
	"testing"

	"gitdag/engine/operator/param"
	"gitdag/engine/operator/pg/pgtest"
)

func wantRows(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got rows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The table is the one that Digdag makes.
func TestPostgresTable(t *testing.T) {
	s, db := postgres(t)
	o := operators(param.Operators(s, ""))
	o.run(t, "param_set>", nil, "b", "é\"\n", "a", 1)
	wantRows(t, db.Exec("select column_name, data_type, is_nullable from information_schema.columns where table_name = 'params' order by 1"),
		"created_at|timestamp with time zone|NO", "key|text|NO", "site_id|integer|YES", "updated_at|timestamp with time zone|NO",
		"value|text|NO", "value_type|integer|NO")
	wantRows(t, db.Exec("select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid = 'params'::regclass and contype = 'u'"),
		"params_site_id_key_uniq|UNIQUE (site_id, key)")
	wantRows(t, db.Exec("select site_id, key, value_type, value from params order by key"), `0|a|0|{"value":"1"}`, `0|b|0|{"value":"é\"\n"}`)

	// Written once more it is as it was, but for the time.
	db.Exec("update params set created_at = '2020-01-01', updated_at = '2020-01-02'")
	o.run(t, "param_set>", nil, "a", 2)
	wantRows(t, db.Exec("select key, value, created_at::date, updated_at > now() - interval '1 minute' from params order by key"),
		`a|{"value":"2"}|2020-01-01|t`, `b|{"value":"é\"\n"}|2020-01-01|f`)
}

// What a Digdag has written is read, but for what is too old or another site's.
func TestPostgresSharedWithDigdag(t *testing.T) {
	s, db := postgres(t)
	db.Exec(`create table params (key text not null, value text not null, value_type int not null, site_id integer,
		updated_at timestamp with time zone not null, created_at timestamp with time zone not null,
		constraint params_site_id_key_uniq unique (site_id, key));
		insert into params (key, value, value_type, site_id, updated_at, created_at) values
		('key1', '{"value": "value1"}', 0, 0, now(), now()), ('number', '{"value": 12}', 0, 0, now(), now()),
		('nearly', '{"value": "x"}', 0, 0, now() - interval '89 days 23 hours', now()),
		('old', '{"value": "x"}', 0, 0, now() - interval '90 days 1 second', now()),
		('other', '{"value": "x"}', 0, 1, now(), now()), ('broken', '{"v": "x"}', 0, 0, now(), now()), ('worse', 'x', 0, 0, now(), now())`)
	o := operators(param.Operators(s, ""))
	got := o.run(t, "param_get>", nil, "key1", "a", "number", "b", "nearly", "c", "old", "d", "other", "e")
	if want := `{"a":"value1","b":"12","c":"x","d":"","e":""}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	wantRows(t, db.Exec("select count(*) from params"), "7")
	o.wantFailure(t, `get 1 values: the value of "broken" in the table params: it is not what Digdag writes (runtime)`, "param_get>", nil, "broken", "x")
	if _, err := o.try(t.Context(), task(t, "param_get>", nil, "worse", "x")); err == nil || !strings.Contains(err.Error(), `the value of "worse"`) {
		t.Errorf("got %v", err)
	}
	o.run(t, "param_set>", nil, "old", "new", "other", "new")
	wantRows(t, db.Exec("select site_id, value from params where key in ('old', 'other') order by key, site_id"),
		`0|{"value":"new"}`, `0|{"value":"new"}`, `1|{"value": "x"}`)
}

// The table is made once, however many tasks miss it at a time.
func TestPostgresTableIsMadeByMany(t *testing.T) {
	s, db := postgres(t)
	o := operators(param.Operators(s, ""))
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if _, err := o.try(t.Context(), task(t, "param_set>", nil, string(rune('a'+i)), i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantRows(t, db.Exec("select count(*) from params"), "16")
}

// A writer with another order, such as Digdag is, does not fail the task.
func TestPostgresDeadlock(t *testing.T) {
	s, db := postgres(t)
	o := operators(param.Operators(s, ""))
	o.run(t, "param_set>", nil, "a", "0", "b", "0")
	other := db.Connect()
	pgtest.Exec(t, other, "set deadlock_timeout = '1h'") // the task's statement is the one that gives up
	pgtest.Exec(t, other, "begin")
	pgtest.Exec(t, other, "update params set value = '{\"value\":\"1\"}' where key = 'b'")
	done := make(chan error, 1)
	go func() {
		_, err := o.try(t.Context(), task(t, "param_set>", nil, "a", "2", "b", "2"))
		done <- err
	}()
	for len(db.Exec("select 1 from pg_locks where not granted")) == 0 {
	}
	pgtest.Exec(t, other, "update params set value = '{\"value\":\"1\"}' where key = 'a'")
	pgtest.Exec(t, other, "commit")
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantRows(t, db.Exec("select value from params"), `{"value":"2"}`, `{"value":"2"}`)
}

func TestPostgresRefuses(t *testing.T) {
	s, db := postgres(t)
	db.Exec("create role joe login password 'canary'; create role ann login password 'canary'; revoke all on schema public from public")
	s.User, s.Password = "joe", "canary"
	_, err := operators(param.Operators(s, "")).try(t.Context(), task(t, "param_set>", nil, "a", "b"))
	if err == nil || !strings.Contains(err.Error(), "set 1 values: table params: ERROR: ") {
		t.Errorf("without a right to make the table: got %v", err)
	}
	s.Password = "wrong"
	_, err = operators(param.Operators(s, "")).try(t.Context(), task(t, "param_get>", nil, "a", "b"))
	if err == nil || !strings.Contains(err.Error(), "Failed to connect to "+db.Name+" as joe") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong password: got %v", err)
	}
	s.User, s.Password, s.SSL = pgtest.User, pgtest.Password, true
	operators(param.Operators(s, "")).run(t, "param_get>", nil, "a", "b")
}
