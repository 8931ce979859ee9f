package pg_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"gitdag/engine/operator/pg/pgtest"
)

// BenchmarkTasks compares 1,000 tasks, each of which inserts a row exactly once, with the
// same inserts by the bare client: also with a connection for each.
func BenchmarkTasks(b *testing.B) {
	const tasks = 1000
	p := newProject(b)
	p.db.Exec("create table a (n int)")
	p.db.Exec("alter system set fsync = on")
	p.db.Exec("select pg_reload_conf()")
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=%s database=%s sslmode=disable", p.db.Port, pgtest.User, p.db.Name))
	if err != nil {
		b.Fatal(err)
	}
	config.Password = pgtest.Password
	var own, bare time.Duration
	for range b.N {
		for i := range tasks {
			query := fmt.Sprintf("insert into a values (%d)", i)
			task := p.task("pg>", sql(query))
			begin := time.Now()
			mustRun(b, task)
			middle := time.Now()
			c, err := pgconn.ConnectConfig(context.Background(), config)
			if err == nil {
				_, err = c.Exec(context.Background(), query).ReadAll()
			}
			if err != nil {
				b.Fatal(err)
			}
			_ = c.Close(context.Background())
			own += middle.Sub(begin)
			bare += time.Since(middle)
		}
	}
	b.ReportMetric(float64(own.Microseconds())/float64(tasks*b.N), "µs/task")
	b.ReportMetric(float64(bare.Microseconds())/float64(tasks*b.N), "bare-µs/task")
	b.ReportMetric(float64(own)/float64(bare), "x-bare")
}
