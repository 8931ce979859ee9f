package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Credentials come from secrets, what is found is seen by later tasks, and a timeout is
// no end where the task says so.
func TestWaitingForObjects(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKID/") {
			w.WriteHeader(http.StatusForbidden)
		}
		if r.URL.Path != "/in/there.csv" {
			w.WriteHeader(http.StatusNotFound)
		}
		w.Header().Set("x-amz-meta-lines", "${1 + 1}")
		_, _ = io.WriteString(w, "1,2\n")
	}))
	defer server.Close()
	files := map[string]string{"w.dig": `
_export:
  aws: {s3: {endpoint: "${server}"}}
+there:
  s3_wait>: in/there.csv
+tell:
  echo>: ${s3.last_object.metadata["Content-Length"]} bytes, ${s3.last_object.user_metadata.lines} lines
+missing:
  s3_wait>: in/missing.csv
  timeout: 1s
  continue_on_timeout: true
+again:
  echo>: then ${typeof s3.last_object}
+end:
  s3_wait>: in/missing.csv
  timeout: 1s
`, "check.dig": `
_export: {key: x, object: y}
+a: {s3_wait>: b/k}
+b: {gcs_wait>: b/o}
`}
	out, err := runIn(t, files, "run", "w", "-X", "secrets.aws.access_key_id=AKID", "-X", "secrets.aws.secret_access_key=canary",
		"-p", "server="+server.URL)
	if err == nil {
		t.Errorf("got success, want the second timeout to be a failure")
	}
	for _, want := range []string{
		"4 bytes, ${1 + 1} lines\n", "then undefined\n", "s3_wait: s3://in/missing.csv is not there yet\n",
		"Timeout happened: s3://in/missing.csv was not there within 1s (runtime)",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got output\n%s\nwant in it\n%s", out, want)
		}
	}
	if strings.Contains(out, "canary") {
		t.Errorf("got output with the secret in it\n%s", out)
	}

	out, err = runIn(t, files, "check")
	for _, want := range []string{
		`the exported variable "key" is also an option of s3_wait>, which task +check+a runs`,
		`the exported variable "object" is also an option of gcs_wait>, which task +check+b runs`,
	} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("got %v and output\n%s\nwant in it\n%s", err, out, want)
		}
	}
}
