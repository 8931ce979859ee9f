package client

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/agent/api"
)

// pageOf answers with n entries of a list.
func pageOf(key string, from, n int) func(http.ResponseWriter) {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"id":"%d"}`, from+i)
	}
	return answer(200, fmt.Sprintf(`{%q:[%s]}`, key, strings.Join(list, ",")))
}

// All of a list is read, however many pages it fills (Q12). The first question
// is Digdag's.
func TestListsPageOn(t *testing.T) {
	for key, c := range map[string]struct {
		list func(*Client, context.Context) (int, error)
		want []string
	}{
		"schedules": {
			func(c *Client, ctx context.Context) (int, error) { l, err := c.Schedules(ctx); return len(l), err },
			[]string{"GET /api/schedules", "GET /api/schedules?last_id=100", "GET /api/schedules?last_id=200"},
		},
		"projects": {
			func(c *Client, ctx context.Context) (int, error) {
				l, err := c.Projects(ctx, Filter{Pattern: "x"})
				return len(l), err
			},
			[]string{
				"GET /api/projects?count=100&name_pattern=x", "GET /api/projects?count=100&last_id=100&name_pattern=x",
				"GET /api/projects?count=100&last_id=200&name_pattern=x",
			},
		},
		"workflows": {
			func(c *Client, ctx context.Context) (int, error) {
				l, err := c.Workflows(ctx, Filter{})
				return len(l), err
			},
			[]string{
				"GET /api/workflows?count=100&order=asc", "GET /api/workflows?count=100&last_id=100&order=asc",
				"GET /api/workflows?count=100&last_id=200&order=asc",
			},
		},
	} {
		a, client := newAgent(t, pageOf(key, 1, 100), pageOf(key, 101, 100), pageOf(key, 201, 3))
		if n, err := c.list(client, t.Context()); err != nil || n != 203 {
			t.Errorf("got %d %s, %v, want 203", n, key, err)
		}
		if diff := cmp.Diff(c.want, a.requests()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		_, client = newAgent(t, pageOf(key, 1, 100), answer(400, `{"message":"no","status":400}`))
		if _, err := c.list(client, t.Context()); err == nil {
			t.Errorf("%s whose second page is refused: got no error", key)
		}
	}
}

// Who asks for a size gets one page of it.
func TestOnePage(t *testing.T) {
	a, c := newAgent(t, pageOf("projects", 1, 100))
	if list, err := c.Projects(t.Context(), Filter{Page: Page{Size: 100}}); err != nil || len(list) != 100 || len(a.requests()) != 1 {
		t.Errorf("got %d projects, %v after %q, want 100 after one question", len(list), err, a.requests())
	}
}

// The agent is asked once whether it speaks with this client, before anything
// else; what it is thought to say about that is not this package's.
func TestVersionCheck(t *testing.T) {
	const question = "GET /api/version/check?client=" + ProtocolVersion
	refusal := fmt.Errorf("too old")
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		judge  error
		want   string // of the error
		asked  []string
	}{
		"fine": {
			answer(200, `{"serverVersion":"1","upgradeRecommended":false,"apiCompatible":true}`), nil, "",
			[]string{question, "GET /api/attempts/9", "GET /api/attempts/9"},
		},
		"refused":  {answer(200, `{"serverVersion":"1","upgradeRecommended":true,"apiCompatible":false}`), refusal, "too old", []string{question}},
		"unknown":  {answer(404, ""), refusal, "", []string{question, "GET /api/attempts/9", "GET /api/attempts/9"}},
		"stranger": {answer(401, `{"message":"unauthorized","status":401}`), nil, "unauthorized", []string{question}},
	} {
		a, client := newAgent(t, c.answer, answer(200, `{"id":"9"}`))
		client.check = func(v api.VersionCheck) error {
			if v.ServerVersion != "1" {
				t.Errorf("%s: got %+v, want what the agent says", name, v)
			}
			return c.judge
		}
		for range 2 {
			_, err := client.Attempt(t.Context(), 9)
			if got := fmt.Sprint(err); (err == nil) != (c.want == "") || err != nil && got != c.want {
				t.Errorf("%s: got %v, want %q", name, err, c.want)
			}
		}
		if _, err := client.Archive(t.Context(), 1, "r"); (c.want != "") != (err != nil) {
			t.Errorf("%s: a download: got %v", name, err)
		}
		if got := a.requests(); !cmp.Equal(got[:len(c.asked)], c.asked) {
			t.Errorf("%s: asked %q, want %q first", name, got, c.asked)
		}
	}
}
