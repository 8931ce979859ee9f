package objectwait_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/operator/objectwait"
	"gitdag/engine/params"
)

// gcs is Google's storage together with the server that gives tokens.
type gcs struct {
	t       *testing.T
	key     *rsa.PrivateKey
	address string
	objects http.Handler
	tokens  http.Handler // nil: who signs rightly gets one
	seen    []string
}

func newGCS(t *testing.T, objects http.Handler) (*gcs, objectwait.Options) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g := &gcs{t: t, key: key, objects: objects}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	g.address = server.URL
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return g, objectwait.Options{Transport: rerouted{to}}
}

// credential is the key of a service account.
func (g *gcs) credential() string {
	der, err := x509.MarshalPKCS8PrivateKey(g.key)
	if err != nil {
		g.t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "1", "client_email": "gitdag@p.example",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "https://tokens.example/token",
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

func (g *gcs) task(visible *params.Map, own ...any) *operator.Task {
	task := newTask(g.t, visible, own...)
	task.Secrets = secrets{"gcp.credential": g.credential() + "\n"}
	return task
}

func (g *gcs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.seen = append(g.seen, r.Method+" "+r.Host+r.RequestURI)
	switch {
	case r.Host == "storage.googleapis.com" && r.Header.Get("Authorization") == "Bearer T0":
		g.objects.ServeHTTP(w, r)
	case r.Host == "storage.googleapis.com":
		w.WriteHeader(http.StatusUnauthorized)
	case g.tokens != nil:
		g.tokens.ServeHTTP(w, r)
	default:
		if err := g.verify(r); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":"invalid_grant","error_description":%q}`, err)
			return
		}
		giveToken(w, r)
	}
}

func giveToken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"access_token":"T0","token_type":"Bearer","expires_in":3599}`))
}

// verify checks what a service account signs to get a token.
func (g *gcs) verify(r *http.Request) error {
	parts := strings.Split(r.FormValue("assertion"), ".")
	if len(parts) != 3 {
		return fmt.Errorf("no assertion: %v", r.Form)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
		return err
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	var claims struct{ Iss, Scope, Aud string }
	if err := json.Unmarshal(text, &claims); err != nil {
		return err
	}
	if got := fmt.Sprint(claims); got != "{gitdag@p.example https://www.googleapis.com/auth/devstorage.read_only https://tokens.example/token}" {
		return fmt.Errorf("the claims are %s", got)
	}
	return nil
}

// described answers with a description of an object.
var described = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(`{"kind":"storage#object","name":"a/b.csv","size":"12","generation":"1704164645000123","metadata":{"by":"${billing}"}}`))
})

const description = `{"gcs_wait":{"last_object":{"metadata":{"kind":"storage#object","name":"a/b.csv","size":"12","generation":"1704164645000123","metadata":{"by":"${billing}"}}}}}`

func TestGCSStoresWhatIsThere(t *testing.T) {
	g, o := newGCS(t, described)
	got, err := run(t, o, g.task(nil, "gcs_wait>", "bucket/a/b.csv"))
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, got.Store, description)
	if text := string(params.Encode(got.Store)); text != string(params.Encode(params.AsData(got.Store))) {
		t.Errorf("got %s, want data that is never evaluated", text)
	}
	if fmt.Sprint(got.Reset) != "[gcs_wait.last_object]" {
		t.Errorf("got the reset of %v, want that of gcs_wait.last_object", got.Reset)
	}
}

func TestGCSRequests(t *testing.T) {
	for _, c := range []struct {
		name    string
		visible *params.Map
		own     []any
		want    string
	}{
		{"command", nil, []any{"gcs_wait>", "bucket/a/b.csv"}, "/storage/v1/b/bucket/o/a%2Fb.csv"},
		{"address", nil, []any{"gcs_wait>", "gs://bucket/a/b.csv"}, "/storage/v1/b/bucket/o/a%2Fb.csv"},
		{"odd names", nil, []any{"gcs_wait>", "bu.cket/a b?ü%#+"}, "/storage/v1/b/bu.cket/o/a%20b%3F%C3%BC%25%23+"},
		{"parameters", nil, []any{"_type", "gcs_wait", "bucket", "b", "object", "o"}, "/storage/v1/b/b/o/o"},
		{"defaults", params.Of("gcs", params.Of("bucket", "b")), []any{"_type", "gcs_wait", "object", "o"}, "/storage/v1/b/b/o/o"},
		{"key is no option", params.Of("key", "x"), []any{"gcs_wait>", "b/o"}, "/storage/v1/b/b/o/o"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, o := newGCS(t, described)
			if _, err := run(t, o, g.task(c.visible, c.own...)); err != nil {
				t.Errorf("got %v, want success", err)
			}
			if got, want := strings.Join(g.seen, "\n"), "POST tokens.example/token\nGET storage.googleapis.com"+c.want; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestGCSMistakes(t *testing.T) {
	const both = "gcs_wait> takes either BUCKET/OBJECT or the parameters 'bucket' and 'object': there is also the parameter "
	const secret = "The secret 'gcp.credential' "
	for _, c := range []struct {
		name       string
		visible    *params.Map
		own        []any
		credential string // empty: a good one
		want       string
	}{
		{"no object", nil, []any{"gcs_wait>", "gs://bucket"}, "", `gcs_wait> needs BUCKET/OBJECT, not "gs://bucket" (config)`},
		{"nothing", nil, []any{"gcs_wait>", nil}, "", "gcs_wait> needs BUCKET/OBJECT, or both parameters 'bucket' and 'object' (config)"},
		{"both", nil, []any{"gcs_wait>", "b/o", "object", "x"}, "", both + "'object' (config)"},
		{"both, from outside", params.Of("bucket", "x"), []any{"gcs_wait>", "b/o"}, "", both + "'bucket', which comes from outside of the task (config)"},
		{"gcs", nil, []any{"gcs_wait>", "b/o", "gcs", "x"}, "", `Expected object type for key 'gcs' but got "x" (string) (config)`},
		{"no JSON", nil, []any{"gcs_wait>", "b/o"}, "hello", secret + "must be the JSON text of a service account's key (config)"},
		{"a program", nil, []any{"gcs_wait>", "b/o"}, `{"type":"external_account"}`, secret + `must have the type "service_account" or "authorized_user", not "external_account" (config)`},
		{"no key", nil, []any{"gcs_wait>", "b/o"}, `{"type":"service_account","private_key":"x"}`, secret + "cannot be used: private key should be a PEM or plain PKCS1 or PKCS8; parse error: asn1: syntax error: truncated tag or length (config)"},
		{"no refresh token", nil, []any{"gcs_wait>", "b/o"}, `{"type":"authorized_user"}`, secret + "cannot be used: oauth2: token expired and refresh token is not set (config)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, o := newGCS(t, described)
			task := g.task(c.visible, c.own...)
			if c.credential != "" {
				task.Secrets = secrets{"gcp.credential": c.credential}
			}
			_, err := run(t, o, task)
			wantFailure(t, err, c.want)
			if len(g.seen) > 0 {
				t.Errorf("got the requests %v, want none", g.seen)
			}
		})
	}
}

func TestGCSRefusals(t *testing.T) {
	const asked = "gcs_wait failed: gs://bucket/o: "
	say := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}
	}
	for _, c := range []struct {
		name            string
		objects, tokens http.Handler
		want            string
	}{
		{"forbidden", say(403, `{"error":{"code":403,"message":"gitdag@p.example does not have storage.objects.get access."}}`), nil, "403 Forbidden: gitdag@p.example does not have storage.objects.get access."},
		{"no JSON", say(400, `<html>`), nil, "400 Bad Request"},
		{"no message", say(400, `{}`), nil, "400 Bad Request"},
		{"redirected", say(302, ``), nil, "302 Found"},
		{"no such account", described, say(400, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`), "get a token: 400 Bad Request: invalid_grant: Invalid JWT Signature."},
		{"no such token server", described, say(404, ``), "get a token: 404 Not Found"},
		{"token that does not count", described, say(200, `{"access_token":"other","token_type":"Bearer","expires_in":1}`), "401 Unauthorized"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, o := newGCS(t, c.objects)
			g.tokens = c.tokens
			_, err := run(t, o, g.task(nil, "gcs_wait>", "bucket/o"))
			wantFailure(t, err, asked+c.want)
		})
	}
}

func TestGCSLooksGetRarer(t *testing.T) {
	g, o := newGCS(t, &answers{status: []int{404, 404, 404, 404, 404, 404, 404, 404, 200}})
	task := g.task(nil, "gcs_wait>", "bucket/o", "timeout", "1s") // there is no such option
	_, apart, _ := wait(t, o, task, 8)
	wantApart(t, apart, 5, 5, 5, 8, 16, 30, 30, 30)
	wantJSON(t, task.State, `{"polls":5}`)
	g.objects = described
	r, apart, err := wait(t, o, task, 1)
	if err != nil || len(apart) > 0 {
		t.Fatalf("got %v after %d further looks, want the object", err, len(apart))
	}
	wantJSON(t, r.Store, description)
}

func TestGCSTriesAgain(t *testing.T) {
	g, o := newGCS(t, &answers{status: []int{500, 408, 429, 0, 200}})
	task := g.task(nil, "gcs_wait>", "bucket/o")
	_, apart, _ := wait(t, o, task, 5)
	wantApart(t, apart, 1, 2, 4, 8, 16)
	if got, want := task.Log.(*log).String(), "gcs_wait: gs://bucket/o: the answer is no description of an object: next try in 16s\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got the log\n%s\nwant at its end\n%s", got, want)
	}
	g.objects = described
	g.tokens = &answers{status: []int{503, 0}}
	task.State = nil
	_, apart, _ = wait(t, o, task, 2)
	wantApart(t, apart, 1, 2)
	if got, want := task.Log.(*log).String(), "gcs_wait: gs://bucket/o: get a token: 503 Service Unavailable: next try in 1s\n"; !strings.Contains(got, want) {
		t.Errorf("got the log\n%s\nwant in it\n%s", got, want)
	}
}

func TestGCSCredentialOfAUser(t *testing.T) {
	g, o := newGCS(t, described)
	g.tokens = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("refresh_token") != "R0" || r.FormValue("client_secret") != "S0" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		giveToken(w, r)
	})
	task := g.task(nil, "gcs_wait>", "bucket/o")
	task.Secrets = secrets{"gcp.credential": `{"type":"authorized_user","client_id":"C0","client_secret":"S0","refresh_token":"R0"}`}
	if _, err := run(t, o, task); err != nil {
		t.Errorf("got %v, want success", err)
	}
	if len(g.seen) != 2 || g.seen[0] != "POST oauth2.googleapis.com/token" {
		t.Errorf("got the requests %v, want the token from Google's server", g.seen)
	}
}

func TestGCSCredentialOfTheMachine(t *testing.T) {
	g, o := newGCS(t, described)
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, []byte(g.credential()), 0o600); err != nil {
		t.Fatal(err)
	}
	task := g.task(nil, "gcs_wait>", "bucket/o")
	task.Secrets = secrets{}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	if _, err := run(t, o, task); err != nil {
		t.Errorf("from a file: got %v, want success", err)
	}

	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "none"))
	_, err := run(t, o, task)
	if err == nil || !strings.HasPrefix(err.Error(), "There is no secret 'gcp.credential', and this machine has no credential of its own: ") {
		t.Errorf("without the file: got %v", err)
	}

	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(g.address, "http://"))
	g.tokens = http.HandlerFunc(giveToken)
	if _, err := run(t, o, task); err != nil {
		t.Errorf("from the metadata server: got %v, want success", err)
	}
	if got := strings.Join(g.seen, "\n"); !strings.Contains(got, "/instance/service-accounts/default/token?scopes=") {
		t.Errorf("got the requests\n%s\nwant one to the metadata server", got)
	}
}
