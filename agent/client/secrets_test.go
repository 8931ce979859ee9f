package client

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/agent/api"
)

func TestSecrets(t *testing.T) {
	a, c := newAgent(t, hangUp, answer(200, `{"secrets":[{"key":"a.b"}]}`), answer(200, `{}`),
		answer(200, `{"key":"a.b","project":{"id":"12","name":"etl"}}`))
	list, err := c.Secrets(t.Context(), 12)
	if diff := cmp.Diff([]api.Secret{{Key: "a.b"}}, list); diff != "" || err != nil {
		t.Errorf("list: %v (-want +got):\n%s", err, diff)
	}
	if list, err = c.Secrets(t.Context(), 12); list == nil || len(list) != 0 || err != nil {
		t.Errorf("an empty list: got %#v, %v, want an empty one and not nil", list, err)
	}
	want := api.Secret{Key: "a.b", Project: &api.Named{ID: 12, Name: "etl"}}
	got, err := c.SetSecret(t.Context(), 12, "a.b", "<&>\n")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("set: %v (-want +got):\n%s", err, diff)
	}
	got, err = c.DeleteSecret(t.Context(), 12, "a.b")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("delete: %v (-want +got):\n%s", err, diff)
	}
	asked := a.requests()
	if len(asked) != 5 || asked[0] != asked[1] || asked[0] != "GET /api/projects/12/secrets" || asked[4] != "DELETE /api/projects/12/secrets/a.b" ||
		!strings.HasPrefix(asked[3], `PUT /api/projects/12/secrets/a.b {"value":"`) {
		t.Errorf("asked %q", asked)
	}
}

// A change that got lost is not sent again, and its error does not tell the
// value.
func TestSecretThatGetsLost(t *testing.T) {
	for name, lost := range map[string]func(http.ResponseWriter){"hung up": hangUp, "refused": answer(503, `{"message":"later"}`), "no JSON": answer(200, `{`)} {
		a, c := newAgent(t, lost)
		_, err := c.SetSecret(t.Context(), 12, "k", "hunter2")
		if err == nil || strings.Contains(err.Error(), "hunter2") || len(a.requests()) != 1 {
			t.Errorf("%s: got %v after %d requests, want an error after one", name, err, len(a.requests()))
		}
	}
}
