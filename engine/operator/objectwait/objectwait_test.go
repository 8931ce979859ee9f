package objectwait_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/operator/objectwait"
	"gitdag/engine/params"
)

func TestRetryRepeatsGCSOnly(t *testing.T) {
	if objectwait.S3(objectwait.Options{}).Retries || !objectwait.GCS(objectwait.Options{}).Retries {
		t.Error("want _retry to repeat failures of gcs_wait> and not those of s3_wait>")
	}
}

func TestKeysThatNobodyReads(t *testing.T) {
	task := newTask(t, nil, "s3_wait>", "b/k", "region", "x", "timout", "1h")
	if got := objectwait.S3(objectwait.Options{}).Unused(task); len(got) != 1 || got[0] != "timout" {
		t.Errorf("got %v, want timout", got)
	}
}

func TestATokenThatIsNone(t *testing.T) {
	g, o := newGCS(t, described)
	g.tokens = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	task := g.task(nil, "gcs_wait>", "bucket/o", "_secrets", params.Of("gcp", params.Of("credential", "team.google")))
	task.Secrets = secrets{"team.google": g.credential()}
	_, err := run(t, o, task)
	var poll *operator.Poll
	if !errors.As(err, &poll) || !strings.Contains(task.Log.(*log).String(), "gs://bucket/o: get a token: ") {
		t.Errorf("got %v and the log %q, want another try", err, task.Log)
	}
}

// brokenLog is a log that cannot be written.
type brokenLog struct{ log }

func (*brokenLog) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestALogThatCannotBeWritten(t *testing.T) {
	for _, status := range []int{404, 503} {
		_, o := newS3(t, &answers{status: []int{status}})
		task := newTask(t, nil, "s3_wait>", "bucket/k")
		task.Log = &brokenLog{}
		_, err := run(t, o, task)
		wantFailure(t, err, "write to the task log: disk full (runtime)")
	}
}
