package objectwait_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"gitdag/engine/operator"
	"gitdag/engine/operator/objectwait"
	"gitdag/engine/params"
)

var found = &answers{status: []int{200}}

func TestS3StoresWhatIsThere(t *testing.T) {
	_, o := newS3(t, &answers{status: []int{200}, with: func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Length", "5000000000")
		h.Set("Content-Type", "text/csv")
		h.Set("ETag", `"0123abc"`)
		h.Set("Last-Modified", "Tue, 02 Jan 2024 03:04:05 GMT")
		h.Set("Date", "Tue, 02 Jan 2024 03:04:06 GMT")
		h.Set("Server", "AmazonS3")
		h.Set("x-amz-request-id", "1234")
		h.Set("x-amz-version-id", "v7")
		h.Set("x-amz-meta-Made-By", "${billing}")
	}})
	got, err := run(t, o, newTask(t, nil, "s3_wait>", "bucket/a/b.csv"))
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, got.Store, `{"s3":{"last_object":{"metadata":{"Content-Length":5000000000,"Content-Type":"text/csv","ETag":"0123abc",`+
		`"Last-Modified":1704164645000,"x-amz-version-id":"v7"},"user_metadata":{"made-by":"${billing}"}}}}`)
	if text := string(params.Encode(got.Store)); text != string(params.Encode(params.AsData(got.Store))) {
		t.Errorf("got %s, want data that is never evaluated", text)
	}
	if len(got.Reset) != 1 || got.Reset[0] != "s3.last_object" {
		t.Errorf("got the reset of %v, want that of s3.last_object", got.Reset)
	}
}

func TestS3Requests(t *testing.T) {
	for _, c := range []struct {
		name    string
		visible *params.Map
		own     []any
		secrets secrets
		want    string
	}{
		{"command", nil, []any{"s3_wait>", "bucket/a/b.csv"}, nil, "https://bucket.s3.us-east-1.amazonaws.com/a/b.csv us-east-1"},
		{"address", nil, []any{"s3_wait>", "s3://bucket/a/b.csv"}, nil, "https://bucket.s3.us-east-1.amazonaws.com/a/b.csv us-east-1"},
		{"parameters", nil, []any{"_type", "s3_wait", "bucket", "bucket", "key", "/a"}, nil, "https://bucket.s3.us-east-1.amazonaws.com//a us-east-1"},
		{"odd names", nil, []any{"s3_wait>", "bucket/a b/ü+$?#%.csv"}, nil, "https://bucket.s3.us-east-1.amazonaws.com/a%20b/%C3%BC%2B%24%3F%23%25.csv us-east-1"},
		{"version", nil, []any{"s3_wait>", "bucket/k", "version_id", "a+b/c"}, nil, "https://bucket.s3.us-east-1.amazonaws.com/k?versionId=a%2Bb%2Fc us-east-1"},
		{"region", nil, []any{"s3_wait>", "bucket/k", "region", "ap-northeast-1"}, nil, "https://bucket.s3.ap-northeast-1.amazonaws.com/k ap-northeast-1"},
		{"China", nil, []any{"s3_wait>", "bucket/k", "region", "cn-north-1"}, nil, "https://bucket.s3.cn-north-1.amazonaws.com.cn/k cn-north-1"},
		{"sovereign", nil, []any{"s3_wait>", "bucket/k", "region", "eusc-de-east-1"}, nil, "https://bucket.s3.eusc-de-east-1.amazonaws.eu/k eusc-de-east-1"},
		{"path style", nil, []any{"s3_wait>", "bucket/k", "path_style_access", true}, nil, "https://s3.us-east-1.amazonaws.com/bucket/k us-east-1"},
		{"bucket with a dot", nil, []any{"s3_wait>", "my.bucket/k"}, nil, "https://s3.us-east-1.amazonaws.com/my.bucket/k us-east-1"},
		{"bucket of old", nil, []any{"s3_wait>", "My_Bucket/k"}, nil, "https://s3.us-east-1.amazonaws.com/My_Bucket/k us-east-1"},
		{"endpoint", nil, []any{"s3_wait>", "bucket/k", "endpoint", "store.example:9000"}, nil, "https://bucket.store.example:9000/k us-east-1"},
		{"endpoint with a path", nil, []any{"s3_wait>", "b/k", "endpoint", "http://10.0.0.1/s3/", "region", "garage"}, nil, "http://10.0.0.1/s3/b/k garage"},
		{"endpoint in the clear, bucket with a dot", nil, []any{"s3_wait>", "my.bucket/k", "endpoint", "http://store.example"}, nil, "http://my.bucket.store.example/k us-east-1"},
		{"endpoint of a region", nil, []any{"s3_wait>", "bucket/k", "endpoint", "s3.eu-west-1.amazonaws.com", "region", "us-west-2"}, nil, "https://bucket.s3.eu-west-1.amazonaws.com/k eu-west-1"},
		{
			"defaults",
			params.Of("aws", params.Of("region", "eu-west-1", "path_style_access", true, "s3", params.Of("region", "eu-west-2"))),
			[]any{"s3_wait>", "bucket/k"},
			nil, "https://s3.eu-west-2.amazonaws.com/bucket/k eu-west-2",
		},
		{
			"own before defaults", params.Of("aws", params.Of("s3", params.Of("region", "eu-west-2"))),
			[]any{"s3_wait>", "bucket/k", "region", "eu-west-3"},
			nil, "https://bucket.s3.eu-west-3.amazonaws.com/k eu-west-3",
		},
		{
			"secrets before parameters", nil,
			[]any{"s3_wait>", "bucket/k", "region", "eu-west-3", "endpoint", "x.example"},
			secrets{"aws.region": "r1", "aws.s3.endpoint": "http://127.0.0.2"},
			"http://127.0.0.2/bucket/k r1",
		},
		{
			"secrets of S3 first", nil,
			[]any{"s3_wait>", "bucket/k"},
			secrets{"aws.region": "eu-west-1", "aws.s3.region": "eu-west-2", "aws.secret_access_key": "other", "aws.s3.secret_access_key": "SECRET"},
			"https://bucket.s3.eu-west-2.amazonaws.com/k eu-west-2",
		},
		{
			"renamed secrets", nil,
			[]any{"s3_wait>", "bucket/k", "_secrets", params.Of("aws", params.Of("secret_access_key", "team.aws"))},
			secrets{"aws.secret_access_key": "other", "team.aws": "SECRET"},
			"https://bucket.s3.us-east-1.amazonaws.com/k us-east-1",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, o := newS3(t, found)
			task := newTask(t, c.visible, c.own...)
			task.Secrets = merged(keys, c.secrets)
			if _, err := run(t, o, task); err != nil {
				t.Errorf("got %v, want success", err)
			}
			if got := strings.Join(s.seen, "\n"); got != "HEAD "+c.want {
				t.Errorf("got\n  %s\nwant\n  HEAD %s", got, c.want)
			}
		})
	}
}

func merged(all ...secrets) secrets {
	out := secrets{}
	for _, s := range all {
		for key, value := range s {
			out[key] = value
		}
	}
	return out
}

func TestS3Mistakes(t *testing.T) {
	const both = "s3_wait> takes either BUCKET/OBJECT or the parameters 'bucket' and 'key': there is also the parameter "
	for _, c := range []struct {
		name    string
		visible *params.Map
		own     []any
		secrets secrets
		want    string
	}{
		{"no key", nil, []any{"s3_wait>", "bucket"}, keys, `s3_wait> needs BUCKET/OBJECT, not "bucket" (config)`},
		{"empty key", nil, []any{"s3_wait>", "bucket/"}, keys, `s3_wait> needs BUCKET/OBJECT, not "bucket/" (config)`},
		{"empty bucket", nil, []any{"s3_wait>", "/key"}, keys, `s3_wait> needs BUCKET/OBJECT, not "/key" (config)`},
		{"nothing", nil, []any{"s3_wait>", nil}, keys, "s3_wait> needs BUCKET/OBJECT, or both parameters 'bucket' and 'key' (config)"},
		{"bucket only", nil, []any{"s3_wait>", nil, "bucket", "b"}, keys, "s3_wait> needs BUCKET/OBJECT, or both parameters 'bucket' and 'key' (config)"},
		{"both", nil, []any{"s3_wait>", "b/k", "bucket", "b"}, keys, both + "'bucket' (config)"},
		{"both, from outside", params.Of("key", "x"), []any{"s3_wait>", "b/k"}, keys, both + "'key', which comes from outside of the task (config)"},
		{"both, from the defaults", params.Of("aws", params.Of("s3", params.Of("bucket", "x"))), []any{"s3_wait>", "b/k"}, keys, both + "'bucket', which comes from outside of the task (config)"},
		{"no text", nil, []any{"s3_wait>", params.List{}}, keys, "Expected string type for key '_command' but got [] (array) (config)"},
		{"region", nil, []any{"s3_wait>", "b/k", "region", "Ireland"}, keys, "Unknown region: Ireland (config)"},
		{"timeout", nil, []any{"s3_wait>", "b/k", "timeout", "soon"}, keys, `Expected duration such as '1h 30m' for key 'timeout' but got "soon" (string) (config)`},
		{"continue_on_timeout", nil, []any{"s3_wait>", "b/k", "continue_on_timeout", "perhaps"}, keys, `Expected 'true' or 'false' for key 'continue_on_timeout' but got "perhaps" (string) (config)`},
		{"path_style_access", nil, []any{"s3_wait>", "b/k", "path_style_access", "perhaps"}, keys, `Expected 'true' or 'false' for key 'path_style_access' but got "perhaps" (string) (config)`},
		{"aws", nil, []any{"s3_wait>", "b/k", "aws", "x"}, keys, `Expected object type for key 'aws' but got "x" (string) (config)`},
		{"endpoint", nil, []any{"s3_wait>", "b/k", "endpoint", "ftp://x"}, keys, "The endpoint must be an http or https address or a host (config)"},
		{"endpoint with a user", nil, []any{"s3_wait>", "b/k", "endpoint", "https://u:p@x"}, keys, "The endpoint must be an address without user, query and fragment (config)"},
		{"no secrets", nil, []any{"s3_wait>", "b/k"}, nil, "Secret not found for key: 'aws.access_key_id' (secret not found)"},
		{"no password", nil, []any{"s3_wait>", "b/k", "secret_access_key", "x"}, secrets{"aws.access_key_id": "A"}, "Secret not found for key: 'aws.secret_access_key' (secret not found)"},
		{"id with a line's end", nil, []any{"s3_wait>", "b/k"}, merged(keys, secrets{"aws.access_key_id": "A\nB"}), "The secret 'aws.access_key_id' has characters that no such id has (config)"},
		{"sum that cannot be sent", nil, []any{"s3_wait>", "b/k"}, merged(keys, secrets{"aws.s3.sse_c_key": "a2V5", "aws.s3.sse_c_key_md5": "ü"}), "The secrets 'aws.s3.sse_c_key_algorithm' and 'aws.s3.sse_c_key_md5' have characters that cannot be sent (config)"},
		{"no base64", nil, []any{"s3_wait>", "b/k"}, merged(keys, secrets{"aws.s3.sse_c_key": "?"}), "The secret 'aws.s3.sse_c_key' must be a key in base64 (config)"},
		{"key in the clear", nil, []any{"s3_wait>", "b/k", "endpoint", "http://x"}, merged(keys, secrets{"aws.s3.sse_c_key": "a2V5"}), "The secret 'aws.s3.sse_c_key' is only sent to an https endpoint (config)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, o := newS3(t, found)
			task := newTask(t, c.visible, c.own...)
			task.Secrets = c.secrets
			_, err := run(t, o, task)
			wantFailure(t, err, c.want)
			if len(s.seen) > 0 {
				t.Errorf("got the request %v, want none", s.seen)
			}
		})
	}
}

func TestS3Refusals(t *testing.T) {
	const asked = "s3_wait failed: s3://bucket/k: "
	for _, c := range []struct {
		name   string
		status int
		header string
		own    []any
		want   string
	}{
		{"forbidden", 403, "", nil, "403 Forbidden: the credentials are wrong or may not read the object; or it is not there, and they may not list the bucket"},
		{"bad request", 400, "", nil, "400 Bad Request: the region may be another, or the object needs the secret aws.s3.sse_c_key"},
		{"removed version", 405, "", []any{"version_id", "7"}, "405 Method Not Allowed: this version is the mark of a removal"},
		{"gone", 410, "", nil, "410 Gone"},
		{"redirected", 302, "", nil, "302 Found"},
		{"wrong region", 301, "eu-west-1", []any{"region", "us-west-2"}, `301 Moved Permanently: the bucket is in the region "eu-west-1", and was asked for in us-west-2`},
		{"nonsense region", 301, "x.evil.example/", nil, `301 Moved Permanently: the bucket is in the region "x.evil.example/", and was asked for in us-east-1`},
		{"wrong key", 403, "us-east-1", nil, "403 Forbidden: the credentials are wrong or may not read the object; or it is not there, and they may not list the bucket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, o := newS3(t, &answers{status: []int{c.status}, with: func(w http.ResponseWriter, _ *http.Request) {
				if c.header != "" {
					w.Header().Set("x-amz-bucket-region", c.header)
				}
				w.Header().Set("Location", "https://elsewhere.example/")
			}})
			_, err := run(t, o, newTask(t, nil, append([]any{"s3_wait>", "bucket/k"}, c.own...)...))
			wantFailure(t, err, asked+c.want)
		})
	}
}

func TestS3AsksInTheRegionThatItIsTold(t *testing.T) {
	for _, status := range []int{301, 307, 400, 403} {
		s, o := newS3(t, &answers{status: []int{status, 200}, with: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("x-amz-bucket-region", "eu-west-1")
		}})
		if _, err := run(t, o, newTask(t, nil, "s3_wait>", "bucket/k")); err != nil {
			t.Errorf("after %d: got %v, want success", status, err)
		}
		want := "HEAD https://bucket.s3.us-east-1.amazonaws.com/k us-east-1\nHEAD https://bucket.s3.eu-west-1.amazonaws.com/k eu-west-1"
		if got := strings.Join(s.seen, "\n"); got != want {
			t.Errorf("after %d: got\n%s\nwant\n%s", status, got, want)
		}
	}
}

func TestS3CustomerKey(t *testing.T) {
	s, o := newS3(t, found)
	task := newTask(t, nil, "s3_wait>", "bucket/k")
	for _, c := range []struct {
		secrets        secrets
		algorithm, sum string
	}{
		{secrets{"aws.s3.sse_c_key": "a2V5"}, "AES256", "PG4LipwVIkqCKLmpjKFTHQ=="},
		{secrets{"aws.s3.sse_c_key": "a2V5", "aws.s3.sse_c_key_algorithm": "X", "aws.s3.sse_c_key_md5": "sum"}, "X", "sum"},
	} {
		task.Secrets = merged(keys, c.secrets)
		if _, err := run(t, o, task); err != nil {
			t.Fatal(err)
		}
		const prefix = "X-Amz-Server-Side-Encryption-Customer-"
		h := s.last.Header
		if h.Get(prefix+"Key") != "a2V5" || h.Get(prefix+"Algorithm") != c.algorithm || h.Get(prefix+"Key-Md5") != c.sum {
			t.Errorf("got %v, want the key, %s and %s", h, c.algorithm, c.sum)
		}
	}
}

func TestS3LooksGetRarer(t *testing.T) {
	missing := &answers{status: []int{404, 404, 404, 404, 404, 404, 404, 404, 404, 200}}
	_, o := newS3(t, missing)
	task := newTask(t, nil, "s3_wait>", "bucket/k")
	r, apart, err := wait(t, o, task, 20)
	if err != nil || r.Store == nil {
		t.Errorf("got %v, %v, want the object", r, err)
	}
	wantApart(t, apart, 5, 10, 20, 40, 80, 160, 300, 300, 300)
	wantJSON(t, task.State, `{"polls":6}`)
	if got := task.Log.(*log).String(); got != "s3_wait: s3://bucket/k is not there yet\n" {
		t.Errorf("got the log %q, want one line", got)
	}
}

func TestS3Timeout(t *testing.T) {
	_, o := newS3(t, &answers{status: []int{404}})
	_, apart, err := wait(t, o, newTask(t, nil, "s3_wait>", "bucket/k", "timeout", "1m 2s"), 20)
	wantFailure(t, err, "Timeout happened: s3://bucket/k was not there within 1m2s (runtime)")
	wantApart(t, apart, 5, 10, 20, 27)

	task := newTask(t, nil, "s3_wait>", "bucket/k", "timeout", "7s", "continue_on_timeout", true)
	r, _, err := wait(t, o, task, 20)
	if err != nil || r.Store != nil || fmt.Sprint(r.Reset) != "[s3.last_object]" {
		t.Errorf("got %v, %v, want success without an object, and the one of before removed", r, err)
	}
	if got := task.Log.(*log).String(); !strings.HasSuffix(got, "s3_wait: Timeout happened: s3://bucket/k was not there within 7s\n") {
		t.Errorf("got the log %q, want the timeout in it", got)
	}
}

func TestS3TimeoutIsChecked(t *testing.T) {
	started := params.Of("start", began.UnixMilli(), "polls", 3)
	late := func(after time.Duration, status int) (*operator.Result, error) {
		_, o := newS3(t, &answers{status: []int{status}})
		task := newTask(t, nil, "s3_wait>", "bucket/k", "timeout", "1m", "continue_on_timeout", status == 403)
		task.State, task.Now = started, began.Add(after)
		return run(t, o, task)
	}
	if r, err := late(59*time.Second, 200); err != nil || r.Store == nil {
		t.Errorf("just before: got %v, %v, want the object", r, err)
	}
	_, err := late(time.Minute, 200)
	wantFailure(t, err, "Timeout happened: s3://bucket/k was not there within 1m0s (runtime)")
	_, err = late(time.Minute, 503)
	wantFailure(t, err, "Timeout happened: s3://bucket/k could not be looked for within 1m0s: 503 Service Unavailable (runtime)")
	if _, err = late(time.Minute, 403); err == nil || !strings.HasPrefix(err.Error(), "s3_wait failed") {
		t.Errorf("got %v, want a refusal whatever the time", err)
	}
	_, err = late(58*time.Second, 503)
	var poll *operator.Poll
	if !errors.As(err, &poll) || poll.After != time.Second {
		t.Errorf("got %v, want another try", err)
	}
	_, err = late(-time.Hour, 404) // the clock was set back
	if !errors.As(err, &poll) || poll.After != 40*time.Second {
		t.Errorf("got %v, want another look as if it had not been", err)
	}
}

func TestS3TriesAgain(t *testing.T) {
	_, o := newS3(t, &answers{status: []int{404, 404, 500, 503, 408, 429, 0, 502, 504, 404, 503, 200}})
	task := newTask(t, nil, "s3_wait>", "bucket/k")
	r, apart, err := wait(t, o, task, 20)
	if err != nil || r.Store == nil {
		t.Errorf("got %v, %v, want the object", r, err)
	}
	wantApart(t, apart, 5, 10, 1, 2, 4, 8, 16, 30, 30, 20, 1)
	for _, want := range []string{
		"s3_wait: s3://bucket/k: 500 Internal Server Error: next try in 1s\n",
		"s3_wait: s3://bucket/k: 408 Request Timeout: next try in 4s\n",
		"s3_wait: s3://bucket/k: the server closed the connection: next try in 16s\n",
		"s3_wait: s3://bucket/k: 503 Service Unavailable: next try in 1s\n",
	} {
		if !strings.Contains(task.Log.(*log).String(), want) {
			t.Errorf("got the log\n%s\nwant in it\n%s", task.Log, want)
		}
	}
}

func TestS3StateThatIsNone(t *testing.T) {
	_, o := newS3(t, &answers{status: []int{404, 503, 200}})
	for _, key := range []string{"polls", "retries", "start"} {
		task := newTask(t, nil, "s3_wait>", "bucket/k", "timeout", "1m")
		task.State = params.Of(key, "x")
		if _, err := run(t, o, task); err == nil || !strings.Contains(err.Error(), "'"+key+"'") {
			t.Errorf("got %v, want an error about %q", err, key)
		}
	}
}

// silent is a server that never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestS3GivesUpWaitingForAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := newTask(t, nil, "s3_wait>", "bucket/k")
		_, apart, _ := wait(t, objectwait.Options{Transport: silent{}}, task, 1)
		wantApart(t, apart, 1)
		if got := task.Log.(*log).String(); got != "s3_wait: s3://bucket/k: no answer within 1m0s: next try in 1s\n" {
			t.Errorf("got the log %q", got)
		}
	})
}

func TestS3EndsWithTheAttempt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	killed := errors.New("killed")
	cancel(killed)
	_, err := objectwait.S3(objectwait.Options{Transport: silent{}}).Operator.Run(ctx, newTask(t, nil, "s3_wait>", "bucket/k"))
	var failure *operator.Error
	if !errors.Is(err, killed) || errors.As(err, &failure) {
		t.Errorf("got %v, want the cause of the end, and no failure", err)
	}
}

func TestS3AsksTheProxyOfTheEnvironment(t *testing.T) {
	var asked string
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.RequestURI }))
	defer proxy.Close()
	task := newTask(t, nil, "s3_wait>", "bucket/k", "endpoint", "http://store.invalid")
	task.Environ = []string{"http_proxy=" + proxy.URL}
	if _, err := run(t, objectwait.Options{}, task); err != nil || asked != "http://bucket.store.invalid/k" {
		t.Errorf("got %v, and the proxy was asked for %q", err, asked)
	}
	task.Environ = append(task.Environ, "no_proxy=bucket.store.invalid")
	if _, apart, _ := wait(t, objectwait.Options{}, task, 1); len(apart) != 1 {
		t.Errorf("got %d further looks, want one for a host that there is not", len(apart))
	}
}

// The server is not ours, so that what both sides of our tests may have wrong is seen.
func TestS3AgainstGofakes3(t *testing.T) {
	memory := s3mem.New()
	server := httptest.NewServer(gofakes3.New(memory).Server())
	defer server.Close()
	if err := memory.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	task := newTask(t, nil, "s3_wait>", "bucket/in/a b+ü.csv", "endpoint", server.URL, "path_style_access", true)
	if _, apart, _ := wait(t, objectwait.Options{}, task, 3); len(apart) != 3 {
		t.Fatalf("got %d looks that found nothing, want 3: %s", len(apart), task.Log)
	}
	put, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/bucket/in/"+url.PathEscape("a b+ü.csv"), strings.NewReader("1,2\n"))
	if err != nil {
		t.Fatal(err)
	}
	put.Header.Set("x-amz-meta-lines", "1")
	answer, err := http.DefaultClient.Do(put)
	if err != nil || answer.StatusCode != 200 {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
	r, apart, err := wait(t, objectwait.Options{}, task, 3)
	if err != nil || len(apart) > 0 {
		t.Fatalf("got %v after %d further looks, want the object", err, len(apart))
	}
	for path, want := range map[string]string{
		"metadata.Content-Length": "4", "metadata.ETag": `"3ecfad755fa825f7a17c5526ec44e651"`, "user_metadata.lines": `"1"`,
	} {
		var v any = r.Store
		for key := range strings.SplitSeq("s3.last_object."+path, ".") {
			v, _ = v.(*params.Map).Lookup(key)
		}
		if got := string(params.AppendJSON(nil, v)); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
