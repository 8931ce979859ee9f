package objectwait

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

const (
	gcsAddress = "https://storage.googleapis.com/storage/v1/b/"
	gcsScope   = "https://www.googleapis.com/auth/devstorage.read_only"
)

// maxAnswer bounds what is read of an answer. An object's description is a few kilobytes.
const maxAnswer = 1 << 20

func runGCS(ctx context.Context, t *operator.Task, o Options) (*operator.Result, error) {
	defaults, err := params.Optional(t.Config, "gcs", params.Object, nil)
	if err != nil {
		return nil, err
	}
	w := wait{pace: pace{time.Second, 30 * time.Second}}
	if w.target, err = readTarget(t, params.Merge(defaults, t.Config), "gs", "object"); err != nil {
		return nil, err
	}
	settings, err := operator.NewSettings(t, "gcp")
	if err != nil {
		return nil, err
	}
	credential, _, err := settings.OptionalSecret(ctx, "credential")
	if err != nil {
		return nil, err
	}
	g := &gcsRequest{target: w.target, credential: credential, client: o.client(t)}
	object, err := w.next(ctx, t, g.look)
	if err != nil {
		return nil, err
	}
	return result("gcs_wait", params.Of("metadata", object)), nil
}

// gcsRequest asks for an object's description.
type gcsRequest struct {
	target
	credential string // empty: what the machine has
	client     *http.Client
}

// look returns the object's description, nil if it is not there.
func (g *gcsRequest) look(ctx context.Context) (*params.Map, error) {
	token, err := g.token(ctx)
	if err != nil {
		return nil, err
	}
	address := gcsAddress + url.PathEscape(g.bucket) + "/o/" + url.PathEscape(g.object)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("prepare a request: %w", err)
	}
	request.Header.Set("User-Agent", "gitdag")
	token.SetAuthHeader(request)
	response, err := g.client.Do(request)
	if err != nil {
		return nil, unanswered(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, unanswered(err)
	}
	found, err := judge(response, googleMessage(body))
	if err != nil || !found {
		return nil, err
	}
	value, err := params.Parse(body)
	object, ok := params.AsData(value).(*params.Map)
	if err != nil || !ok {
		return nil, &transient{"the answer is no description of an object"}
	}
	return object, nil
}

// token gets the right to read. Of a service account's key only a token leaves this
// machine, and for a token only what the credential says itself is asked.
func (g *gcsRequest) token(ctx context.Context) (*oauth2.Token, error) {
	seen := &witness{RoundTripper: g.client.Transport}
	client := *g.client
	client.Transport = seen
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &client)
	own := g.credential != ""
	source, err := g.source(ctx)
	if err != nil {
		return nil, err
	}
	token, err := source.Token()
	var answer *oauth2.RetrieveError
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &answer) && answer.Response != nil:
		_, err = judge(answer.Response, googleMessage(answer.Body))
		if err == nil { // there is no such address
			err = errors.New("404 Not Found")
		}
		return nil, told("get a token", err)
	case own && !seen.asked:
		return nil, operator.ConfigError("The secret 'gcp.credential' cannot be used: %v", err)
	}
	return nil, told("get a token", unanswered(err))
}

func told(what string, err error) error {
	var missed *transient
	if errors.As(err, &missed) {
		return &transient{what + ": " + missed.reason}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// witness knows whether a request was made.
type witness struct {
	http.RoundTripper
	asked bool
}

// RoundTrip implements [http.RoundTripper].
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	w.asked = true
	return w.RoundTripper.RoundTrip(r)
}

// source returns where tokens come from. A secret is a key of a service account or a
// user's; the other kinds name programs and files of this machine.
func (g *gcsRequest) source(ctx context.Context) (oauth2.TokenSource, error) {
	if g.credential == "" {
		found, err := google.FindDefaultCredentials(ctx, gcsScope)
		if err != nil {
			return nil, operator.ConfigError("There is no secret 'gcp.credential', and this machine has no credential of its own: %v", err)
		}
		return found.TokenSource, nil
	}
	var kind struct {
		Type google.CredentialsType `json:"type"`
	}
	if json.Unmarshal([]byte(g.credential), &kind) != nil {
		return nil, operator.ConfigError("The secret 'gcp.credential' must be the JSON text of a service account's key")
	}
	if kind.Type != google.ServiceAccount && kind.Type != google.AuthorizedUser {
		return nil, operator.ConfigError("The secret 'gcp.credential' must have the type %q or %q, not %q",
			google.ServiceAccount, google.AuthorizedUser, kind.Type)
	}
	found, err := google.CredentialsFromJSONWithType(ctx, []byte(g.credential), kind.Type, gcsScope)
	if err != nil {
		return nil, operator.ConfigError("The secret 'gcp.credential' cannot be used: %v", err)
	}
	return found.TokenSource, nil
}

// googleMessage is what an answer of Google's says of a failure.
func googleMessage(body []byte) string {
	var answer struct {
		Error       json.RawMessage `json:"error"`
		Description string          `json:"error_description"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	var inner struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(answer.Error, &inner) == nil {
		return inner.Message
	}
	var code string
	_ = json.Unmarshal(answer.Error, &code) // what it is not says nothing
	return strings.TrimSuffix(code+": "+answer.Description, ": ")
}
