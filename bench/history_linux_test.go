package bench

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// past is a history that an agent never had: attempts of live projects. They
// are written as docs/history.md says, without the syncs of those that an agent
// archives; the index is made when the agent starts. Ids begin far above those
// that the agent gives out meanwhile.
type past struct {
	attempts int
	projects int // of five workflows each: those of manyProjects
}

const (
	firstPast = 1_000_000
	// retried is a session of project 1 that has a tenth of all attempts.
	retried = firstPast
)

// manyProjects are the files of n projects, p0 to pn-1, with the workflows w0
// to w4 each.
func manyProjects(n int, workflow string) map[string]string {
	files := map[string]string{}
	for i := range n {
		for k := range 5 {
			files[fmt.Sprintf("p%d/w%d.dig", i, k)] = workflow
		}
	}
	return files
}

// write writes the archive into a data directory.
func (p past) write(b *testing.B, data string) {
	b.Helper()
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	check(b, err)
	start := time.Now().UTC().AddDate(0, 0, -30).Truncate(24 * time.Hour)
	apart := 10 * 24 * time.Hour / time.Duration(p.attempts)
	folder := ""
	for i := range p.attempts {
		at := start.Add(time.Duration(i) * apart)
		if day := filepath.Join(data, "archive", at.Format(time.DateOnly)); day != folder {
			folder = day
			check(b, os.MkdirAll(folder, 0o700))
		}
		f, err := os.OpenFile(filepath.Join(folder, fmt.Sprintf("%d.jsonl.gz", firstPast+i)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		check(b, err)
		z.Reset(f)
		_, err = z.Write(p.attempt(i, at))
		check(b, err)
		check(b, z.Close())
		check(b, f.Close())
	}
}

// attempt is the text of one attempt's file.
func (p past) attempt(i int, at time.Time) []byte {
	id, session, index, name := firstPast+i, firstPast+i, 1, ""
	project, workflow := i%p.projects+1, i/p.projects%5
	if i%10 == 0 {
		session, project, workflow, index = retried, 1, 0, i/10+1
		name = fmt.Sprintf(`"retryName":"r%d",`, i)
	}
	day := at.Format(time.RFC3339)
	of := fmt.Sprintf(`"project":%d,"workflow":"w%d"`, project, workflow)
	return fmt.Appendf(nil, `{"gitdag":"attempt","format":1,`+
		`"session":{"id":%d,"uuid":"00000000-0000-4000-8000-%012d",%s,"time":%q},`+
		`"attempt":{"id":%d,"index":%d,%s%s,"projectName":"p%d","definition":%d,"revision":"c0ffee","timezone":"UTC","params":{}},`+
		`"createdAt":%q,"finishedAt":%q,"succeeded":%v,"tasks":2}`+"\n"+
		`{"id":%d,"fullName":"+w%d","group":true,"state":"success","updatedAt":%q}`+"\n"+
		`{"id":%d,"parent":%d,"fullName":"+w%d+a","state":"success","execution":1,"config":{"echo>":"a"},"startedAt":%q,"updatedAt":%q}`+"\n",
		session, session, of, start(session), id, index, name, of, project-1, firstPast+project*5+workflow, day, day, i%7 > 0,
		2*id, workflow, day, 2*id+1, 2*id, workflow, day, day)
}

// start is the session time of a session.
func start(session int) string {
	return time.Unix(1_500_000_000+int64(session)*60, 0).UTC().Format(time.RFC3339)
}
