package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gitdag/engine/operator"
	"gitdag/engine/operator/pg"
	"gitdag/engine/operator/pg/pgtest"
	"gitdag/engine/params"
)

// untilDone executes a task again and again as long as another execution holds its row.
func untilDone(t testing.TB, task *operator.Task) error {
	t.Helper()
	for range 1000 {
		_, err := run(t, task)
		var poll *operator.Poll
		if !errors.As(err, &poll) {
			return err
		}
	}
	t.Fatal("the row is never free")
	return nil
}

func TestOnce(t *testing.T) {
	p := newProject(t)
	p.db.Exec("create table a (n int)")
	task := p.task("pg>", sql("insert into a values (1)"))
	for execution := range 3 {
		task.Execution = execution
		mustRun(t, task)
	}
	wantRows(t, p.db.Exec("select * from a"), "1")
	wantRows(t, p.db.Exec("select count(*), count(completed_at) from __digdag_status"), "1|1")
	if got, want := p.logged(), strings.Repeat("pg: an earlier execution of this task has done it\n", 2); got != want {
		t.Errorf("got log %q, want %q", got, want)
	}
	task.Key += "another task"
	mustRun(t, task)
	wantRows(t, p.db.Exec("select * from a"), "1", "1")

	// What has failed is not done.
	task = p.task("pg>", sql("insert into a values (2); select * from b"))
	if _, err := run(t, task); err == nil {
		t.Error("want a failure")
	}
	p.db.Exec("create table b (n int)")
	mustRun(t, task)
	wantRows(t, p.db.Exec("select * from a where n = 2"), "2")

	// Neither option is read where nothing is written.
	mustRun(t, p.task("pg>", sql("select 1 as n"), "store_last_results", "all", "status_table_schema", "none"))
}

// TestOnceWhateverBreaks cuts the connection of a first execution at many places, as a
// crash of either side would, and lets a second one end the work.
func TestOnceWhateverBreaks(t *testing.T) {
	p := newProject(t)
	const query = "insert into a values (1); update b set n = n + 1"
	p.db.Exec("create table a (n int); create table b (n int); insert into b values (0)")
	whole := newProxy(t, p.db.Port, -1, -1)
	mustRun(t, p.task("pg>", sql(query), "port", whole.port))
	sent, received := int(whole.sent.Load()), int(whole.received.Load())
	if sent < 500 || received < 500 {
		t.Fatalf("got %d bytes sent and %d received, want some more", sent, received)
	}
	done := 1
	cut := func(sent, received int) {
		task := p.task("pg>", sql(query), "port", newProxy(t, p.db.Port, sent, received).port)
		_, first := run(t, task)
		again := p.task("pg>", sql(query))
		again.Key = task.Key
		if err := untilDone(t, again); err != nil {
			t.Fatalf("cut after %d, %d: %v", sent, received, err)
		}
		done++
		want := fmt.Sprintf("%d|%d|%d", done, done, done)
		got := p.db.Exec("select (select count(*) from a), (select n from b), (select count(completed_at) from __digdag_status)")
		if got[0] != want {
			t.Fatalf("cut after %d bytes sent, %d received (%v): got effects %s, want %s", sent, received, first, got[0], want)
		}
	}
	for n := sent; n > 0; n -= 1 + sent/40 {
		cut(n, -1)
	}
	for n := received; n > 0; n -= 1 + received/40 {
		cut(-1, n)
	}
}

// proxy forwards connections and breaks them after some bytes, those of any side if not
// negative.
type proxy struct {
	port           int
	sent, received atomic.Int64
}

func newProxy(t *testing.T, port, maxSent, maxReceived int) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &proxy{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				client.Close()
				continue
			}
			forward := func(to, from net.Conn, count *atomic.Int64, limit int) {
				defer to.Close()
				defer from.Close()
				if limit < 0 {
					limit = 1 << 30
				}
				_, _ = io.Copy(counting{to, count}, io.LimitReader(from, int64(limit)))
			}
			go forward(back, client, &p.sent, maxSent)
			go forward(client, back, &p.received, maxReceived)
		}
	}()
	return p
}

type counting struct {
	io.Writer
	count *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	c.count.Add(int64(len(p)))
	return c.Writer.Write(p)
}

// TestOneAtATime shows two executions of one task: the other one waits without a
// connection, and finds the work done.
func TestOneAtATime(t *testing.T) {
	p := newProject(t)
	p.db.Exec("create table a (n int)")
	gate := p.db.Connect()
	pgtest.Exec(t, gate, "select pg_advisory_lock(1)")
	task := p.task("pg>", sql("insert into a values (1); select pg_advisory_lock(1)"))
	ended := make(chan error)
	go func() {
		_, err := run(t, task)
		ended <- err
	}()
	waitFor(t, p.db, "select count(*) from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())", "1")

	other := *task
	var after []time.Duration
	for range 3 {
		_, err := run(t, &other)
		var poll *operator.Poll
		if !errors.As(err, &poll) {
			t.Fatalf("got %v, want a poll", err)
		}
		after = append(after, poll.After)
		other.State = poll.State
	}
	if got, want := fmt.Sprint(after), "[1s 2s 4s]"; got != want {
		t.Errorf("got polls after %s, want %s", got, want)
	}
	for n, want := range map[int]time.Duration{10: 1024 * time.Second, 11: 1200 * time.Second, 1 << 30: 1200 * time.Second} {
		other.State = params.Of("lock_retries", n)
		_, err := run(t, &other)
		var poll *operator.Poll
		if !errors.As(err, &poll) || poll.After != want {
			t.Errorf("look %d: got %v, want a poll after %s", n, err, want)
		}
	}
	pgtest.Exec(t, gate, "select pg_advisory_unlock(1)")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	mustRun(t, &other)
	wantRows(t, p.db.Exec("select * from a"), "1")
}

// waitFor waits until a query has a result.
func waitFor(t testing.TB, db *pgtest.Database, query, want string) {
	t.Helper()
	c := db.Connect()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if got := pgtest.Exec(t, c, query); len(got) == 1 && got[0] == want {
			return
		}
		<-tick.C
	}
	t.Fatalf("%s: never %s", query, want)
}

// TestManyAtATime has tasks make the status table at the same time.
func TestManyAtATime(t *testing.T) {
	p := newProject(t)
	p.db.Exec("create table a (n int)")
	var all sync.WaitGroup
	for i := range 12 {
		task := p.task("pg>", sql(fmt.Sprintf("insert into a values (%d)", i)))
		task.Key += fmt.Sprint(i)
		all.Go(func() {
			if _, err := run(t, task); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	wantRows(t, p.db.Exec("select count(distinct n), count(*) from a"), "12|12")
}

// busy counts the statements that run.
const busy = "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and datname = current_database()"

func TestKill(t *testing.T) {
	p := newProject(t)
	p.db.Exec("create table a (n int)")
	for name, own := range map[string][]any{
		"write": {"pg>", sql("insert into a values (1); select pg_sleep(600)")},
		"read":  {"pg>", sql("select pg_sleep(600)"), "download_file", "out.csv"},
		"rows":  {"pg>", sql("select n, pg_sleep(0.001) from generate_series(1, 600000) n"), "download_file", "out.csv"},
		"loose": {"pg>", sql("select pg_sleep(600)"), "strict_transaction", false},
		"tls":   {"pg>", sql("select pg_sleep(600)"), "ssl", true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, kill := context.WithCancelCause(t.Context())
			reason := errors.New("killed")
			ended := make(chan error)
			go func() {
				_, err := pg.Operator(pg.Limits{}).Operator.Run(ctx, p.task(own...))
				ended <- err
			}()
			waitFor(t, p.db, busy, "1")
			kill(reason)
			if err := <-ended; !errors.Is(err, reason) {
				t.Errorf("got %v, want %v", err, reason)
			}
			// Not later, but when the operator has returned.
			wantRows(t, p.db.Exec(busy), "0")
		})
	}
	wantRows(t, p.db.Exec("select * from a"))
	if left, _ := p.files(); len(left) > 0 {
		t.Errorf("got files %v, want none", left)
	}
}

func TestTimeouts(t *testing.T) {
	p := newProject(t)
	wantFailure(t, p.task("pg>", sql("select pg_sleep(600)"), "socket_timeout", "1s"), "Failed to run the statement [the server has not answered in time, which is 1s]")
	wantRows(t, p.db.Exec(busy), "0")
	mustRun(t, p.task("pg>", sql("do $x$ begin for i in 1..4 loop perform pg_sleep(0.4); raise notice 'still here'; end loop; end $x$"), "socket_timeout", "1s"))

	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	port := silent.Addr().(*net.TCPAddr).Port
	wantFailure(t, p.task("pg>", sql("x"), "port", port, "connect_timeout", "1s"),
		fmt.Sprintf("Failed to connect to %s as postgres at 127.0.0.1:%d [no connection within 1s]", p.db.Name, port))
}

func TestConnectionFailures(t *testing.T) {
	p := newProject(t)
	what := fmt.Sprintf("Failed to connect to %s as %%s at 127.0.0.1:%d ", p.db.Name, p.db.Port)
	task := p.task("pg>", sql("x"))
	task.Secrets = secrets{"pg.password": "canary-wrong"}
	wantFailure(t, task, fmt.Sprintf(what, "postgres")+`[FATAL: password authentication failed for user "postgres" (SQLSTATE 28P01)]`)
	task.Secrets = secrets{}
	if _, err := run(t, task); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf(what, "postgres")+"[") {
		t.Errorf("got %v, want a failure to connect", err)
	}
	wantFailure(t, p.task("pg>", sql("x"), "database", "gone"),
		strings.Replace(fmt.Sprintf(what, "postgres"), p.db.Name, "gone", 1)+`[FATAL: database "gone" does not exist (SQLSTATE 3D000)]`)
	_, err := run(t, p.task("pg>", sql("x"), "port", 1))
	if err == nil || !strings.Contains(err.Error(), "as postgres at 127.0.0.1:1 [") || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v, want that the connection is refused", err)
	}
}

// TestStatusTableOfOthers shows users who may not make tables.
func TestStatusTableOfOthers(t *testing.T) {
	p := newProject(t)
	p.db.Exec("create table a (n int); create role reader login password 'r'; grant select, insert on a to reader; create schema state; create schema own; grant all on schema own to reader")
	task := func(own ...any) *operator.Task {
		task := p.task(append([]any{"pg>", sql("insert into a values (1)"), "user", "reader"}, own...)...)
		task.Secrets = secrets{"pg.password": "r"}
		return task
	}
	wantFailure(t, task(), `Failed to create the status table "__digdag_status": strict_transaction needs one. `+
		"Create it beforehand with (query_id text NOT NULL UNIQUE, created_at timestamptz NOT NULL, completed_at timestamptz) and GRANT SELECT, INSERT, UPDATE, DELETE on it, "+
		"name another schema with status_table_schema, or set strict_transaction: false [ERROR: permission denied for schema public (SQLSTATE 42501)]")
	wantFailure(t, task("status_table_schema", "state"), `Failed to mark the task in the status table "state"."__digdag_status" [ERROR: permission denied for schema state (SQLSTATE 42501)]`)
	wantRows(t, p.db.Exec("select * from a"))
	mustRun(t, task("status_table_schema", "own", "status_table", "marks"))
	mustRun(t, task("strict_transaction", false))
	p.db.Exec("create table __digdag_status (query_id text not null unique, created_at timestamptz not null, completed_at timestamptz null); grant select, insert, update on __digdag_status to reader")
	mustRun(t, task())
	if got, want := p.logged(), "pg: the status table is not cleaned [ERROR: permission denied for table __digdag_status (SQLSTATE 42501)]\n"; got != want {
		t.Errorf("got log %q, want %q", got, want)
	}
	wantRows(t, p.db.Exec("select * from a"), "1", "1", "1")
	wantRows(t, p.db.Exec("select count(completed_at) from own.marks"), "1")
}

func TestCleanup(t *testing.T) {
	p := newProject(t)
	p.db.Exec(`create table __digdag_status (query_id text not null unique, created_at timestamptz not null, completed_at timestamptz null);
insert into __digdag_status values ('old', now(), now() - interval '25 hours'), ('new', now(), now() - interval '23 hours'),
('held', now(), now() - interval '25 hours'), ('open', now() - interval '99 days', null)`)
	other := p.db.Connect()
	pgtest.Exec(t, other, "begin; select * from __digdag_status where query_id = 'held' for update")
	mustRun(t, p.task("pg>", sql("select 1")))
	const ids = "select query_id from __digdag_status where length(query_id) < 20 order by 1"
	wantRows(t, p.db.Exec(ids), "held", "new", "open")
	pgtest.Exec(t, other, "rollback")
	task := p.task("pg>", sql("select 1"), "status_table_cleanup", "0s")
	mustRun(t, task)
	wantRows(t, p.db.Exec("select count(*) from __digdag_status where completed_at is not null"), "1")
	mustRun(t, task)
	if got, want := p.logged(), "pg: an earlier execution of this task has done it\n"; got != want {
		t.Errorf("got log %q, want %q: a task's own mark stays", got, want)
	}
}

// TestScriptsWithTransactions shows scripts that commit or roll back themselves.
func TestScriptsWithTransactions(t *testing.T) {
	p := newProject(t)
	p.db.Exec("create table a (n int)")
	const warning = "pg: the script ends the transaction itself, so that what it has done may be done again after a crash\n"
	for _, tt := range []struct{ script, log string }{
		{"insert into a values (1); commit", warning},
		{"insert into a values (2); commit; insert into a values (3)", warning},
		{"begin; insert into a values (4); commit", "WARNING: there is already a transaction in progress\n" + warning},
		{"insert into a values (5); rollback; insert into a values (6)", warning},
	} {
		before := len(p.logged())
		task := p.task("pg>", sql(tt.script))
		mustRun(t, task)
		if got := p.logged()[before:]; got != tt.log {
			t.Errorf("%s: got log %q, want %q", tt.script, got, tt.log)
		}
	}
	wantRows(t, p.db.Exec("select * from a order by n"), "1", "2", "3", "4", "6")
}

func TestIsolation(t *testing.T) {
	p := newProject(t)
	p.db.Exec("create table a (n int); alter database " + p.db.Name + " set default_transaction_isolation = serializable; alter database " + p.db.Name + " set lock_timeout = '7s'")
	task := p.task("pg>", sql("insert into a select count(*) from a where current_setting('transaction_isolation') = 'serializable' and current_setting('lock_timeout') = '7s' having current_setting('lock_timeout') = '7s'"))
	mustRun(t, task)
	mustRun(t, task)
	wantRows(t, p.db.Exec("select * from a"), "0")
}
