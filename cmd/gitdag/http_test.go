package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a server answers decides which tasks there are. The address, which is a
// secret, is in nothing that the run prints or keeps.
func TestTasksForWhatAServerAnswers(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL, body)))
		fmt.Fprint(w, `[{"id": 7, "name": "tea ${1 + 1}"}, {"id": 8, "name": "milk"}]`)
	}))
	defer server.Close()
	files := map[string]string{"w.dig": `
+orders:
  http>: ${secret:orders}
  store_content: true
+each:
  for_each>:
    order: ${JSON.parse(http.last_content)}
  _do:
    +ship:
      http>: ${server}/ship/${order.id}
      method: POST
      content: {name: "${order.name}"}
+over:
  if>: ${http.last_status == 200}
  _do:
    sh>: echo all are shipped; cat .digdag/status/*/*
`}
	out, err := runIn(t, files, "run", "w", "-X", "secrets.orders="+server.URL+"/canary-path", "-p", "server="+server.URL)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{
		"GET /canary-path", `POST /ship/7 {"name":"tea ${1 + 1}"}`, `POST /ship/8 {"name":"milk"}`,
	}
	if d := cmp.Diff(want, asked); d != "" {
		t.Errorf("requests (-want +got):\n%s\n%s", d, out)
	}
	if !strings.Contains(out, "all are shipped") || strings.Contains(out, "canary") {
		t.Errorf("got output\n%s", out)
	}
}
