package agent

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"gitdag/agent/api"
	"gitdag/bench/agenttest"
)

// hashed is a line of a file of users.
func hashed(t *testing.T, name, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return name + ":" + string(hash) + "\n"
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func basic(pair string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

func authenticate(a api.Authenticator, header string) (api.Identity, error) {
	r := httptest.NewRequest(http.MethodGet, "/api/projects", nil)
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	return a.Authenticate(r)
}

// Each way in lets its own in and nobody else.
func TestAuthentication(t *testing.T) {
	dir := t.TempDir()
	token := write(t, dir, "token", "t0ken\n")
	users := write(t, dir, "users", "# people\n"+hashed(t, "ada", "l0velace")+"\n"+hashed(t, "bob", "pass:word"))
	admin := BasicUser{Name: "mara", Password: "s3a:weed", Admin: true}
	for _, c := range []struct {
		name   string
		auth   Auth
		user   BasicUser
		header string
		want   api.Identity
		ok     bool
	}{
		{"a token", Auth{TokenFile: token}, BasicUser{}, "Bearer t0ken", api.Identity{Admin: true}, true},
		{"a token, otherwise spelt", Auth{TokenFile: token}, BasicUser{}, "bEARER  t0ken ", api.Identity{Admin: true}, true},
		{"a wrong token", Auth{TokenFile: token}, BasicUser{}, "Bearer t0ke", api.Identity{}, false},
		{"no token", Auth{TokenFile: token}, BasicUser{}, "", api.Identity{}, false},
		{"an empty token", Auth{TokenFile: token}, BasicUser{}, "Bearer ", api.Identity{}, false},
		{"a token as a password", Auth{TokenFile: token}, BasicUser{}, basic("x:t0ken"), api.Identity{}, false},
		{"a token where there is none", Auth{BasicFile: users}, BasicUser{}, "Bearer t0ken", api.Identity{}, false},

		{"a user", Auth{BasicFile: users}, BasicUser{}, basic("ada:l0velace"), api.Identity{Name: "ada"}, true},
		{"a password with a colon", Auth{BasicFile: users}, BasicUser{}, basic("bob:pass:word"), api.Identity{Name: "bob"}, true},
		{"somebody else's password", Auth{BasicFile: users}, BasicUser{}, basic("bob:l0velace"), api.Identity{}, false},
		{"an unknown user", Auth{BasicFile: users}, BasicUser{}, basic("eve:l0velace"), api.Identity{}, false},
		{"no user", Auth{BasicFile: users}, BasicUser{}, basic(":l0velace"), api.Identity{}, false},
		{"a comment", Auth{BasicFile: users}, BasicUser{}, basic("# people:"), api.Identity{}, false},

		{"Digdag's user", Auth{}, admin, basic("mara:s3a:weed"), api.Identity{Name: "mara", Admin: true}, true},
		{"Digdag's user, spaces", Auth{}, admin, "basic   " + strings.TrimPrefix(basic("mara:s3a:weed"), "Basic "), api.Identity{Name: "mara", Admin: true}, true},
		{"a wrong password", Auth{}, admin, basic("mara:s3a"), api.Identity{}, false},
		{"a wrong name", Auth{}, admin, basic("Mara:s3a:weed"), api.Identity{}, false},
		{"no colon", Auth{}, admin, basic("mara"), api.Identity{}, false},
		{"no base64", Auth{}, admin, "Basic mara:s3a:weed", api.Identity{}, false},
		{"another scheme", Auth{}, admin, "Digest " + strings.TrimPrefix(basic("mara:s3a:weed"), "Basic "), api.Identity{}, false},

		{"all, by token", Auth{TokenFile: token, BasicFile: users}, admin, "Bearer t0ken", api.Identity{Admin: true}, true},
		{"all, by file", Auth{TokenFile: token, BasicFile: users}, admin, basic("ada:l0velace"), api.Identity{Name: "ada"}, true},
		{"all, by setting", Auth{TokenFile: token, BasicFile: users}, admin, basic("mara:s3a:weed"), api.Identity{Name: "mara", Admin: true}, true},
	} {
		a, err := newAuthenticator(&c.auth, c.user, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time from memory
			got, err := authenticate(a, c.header)
			var refused *api.Unauthorized
			if got != c.want || (err == nil) != c.ok || err != nil && !errors.As(err, &refused) {
				t.Errorf("%s: got %+v, %v, want %+v, let in: %v", c.name, got, err, c.want, c.ok)
			}
			if refused != nil && (refused.Message == "" || len(refused.Challenges) == 0) {
				t.Errorf("%s: the refusal has no message or challenge: %+v", c.name, refused)
			}
		}
	}
	if a, err := newAuthenticator(&Auth{}, BasicUser{}, nil); a != nil || err != nil {
		t.Errorf("nothing configured: got %v, %v, want everybody let in", a, err)
	}
}

// The challenge names what is accepted.
func TestChallenges(t *testing.T) {
	token := write(t, t.TempDir(), "token", "t0ken")
	for _, c := range []struct {
		auth Auth
		user BasicUser
		want string
	}{
		{Auth{TokenFile: token}, BasicUser{}, `Bearer realm="gitdag"`},
		{Auth{}, BasicUser{Name: "x"}, `Basic realm="gitdag", charset="UTF-8"`},
		{Auth{TokenFile: token}, BasicUser{Name: "x"}, `Basic realm="gitdag", charset="UTF-8"|Bearer realm="gitdag"`},
	} {
		a, err := newAuthenticator(&c.auth, c.user, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var refused *api.Unauthorized
		if _, err := authenticate(a, ""); !errors.As(err, &refused) || strings.Join(refused.Challenges, "|") != c.want {
			t.Errorf("got %v, want %s", refused, c.want)
		}
	}
}

// A file of users can be replaced at any time; while it is broken, the last good
// one counts.
func TestUsersAreReadAgain(t *testing.T) {
	dir, log := t.TempDir(), agenttest.NewLog()
	file := write(t, dir, "users", hashed(t, "ada", "old"))
	a, err := newAuthenticator(&Auth{BasicFile: file}, BasicUser{}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	check := func(when, password string, want bool) {
		t.Helper()
		if _, err := authenticate(a, basic("ada:"+password)); (err == nil) != want {
			t.Errorf("%s: %q: got %v, want it let in: %v", when, password, err, want)
		}
	}
	check("at first", "old", true)
	write(t, dir, "users", hashed(t, "ada", "new"))
	check("changed", "old", false)
	check("changed", "new", true)
	write(t, dir, "users", "ada:new\n")
	check("broken", "new", true)
	check("broken", "new", true)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	check("gone", "new", true)
	write(t, dir, "users", hashed(t, "bob", "new"))
	check("without the user", "new", false)
	if n := log.Count("the list of API users stays as it was"); n != 2 {
		t.Errorf("told %d times, want once for each reason\n%s", n, log)
	}
}

// Files that cannot mean what they should are refused, by line.
func TestBadFilesOfUsers(t *testing.T) {
	dir := t.TempDir()
	good := hashed(t, "ada", "x")
	for text, want := range map[string]string{
		"":                                     "there is no user in it",
		"# nobody\n":                           "there is no user in it",
		good + "bob:plain\n":                   "line 2 is no name and bcrypt hash",
		good + "bob\n":                         "line 2 is no name and bcrypt hash",
		":" + strings.SplitN(good, ":", 2)[1]:  "line 1 is no name and bcrypt hash",
		"bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g": "line 1 is no name and bcrypt hash",
	} {
		_, err := newAuthenticator(&Auth{BasicFile: write(t, dir, "users", text)}, BasicUser{}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "plain") {
			t.Errorf("%q: the error shows the file: %v", text, err)
		}
	}
	if _, err := newAuthenticator(&Auth{BasicFile: filepath.Join(dir, "none")}, BasicUser{}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v, want %v", err, os.ErrNotExist)
	}
	if _, err := newAuthenticator(&Auth{TokenFile: write(t, dir, "token", "\n")}, BasicUser{}, nil); err == nil || !strings.Contains(err.Error(), "there is no token in it") {
		t.Errorf("an empty token: got %v", err)
	}
}
