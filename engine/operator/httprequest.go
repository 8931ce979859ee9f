package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"gitdag/engine/params"
	"gitdag/engine/secret"
)

// httpRequest is what a task asks for. What has a secret in it is marked, so
// that it is neither shown nor sent to anyone else.
type httpRequest struct {
	method  string
	address *url.URL
	// shown is the address as it may be seen.
	shown     string
	header    http.Header
	host      string // of the header; empty: the address's
	hidden    []string
	body      []byte
	hasSecret bool // in the body
	mask      *secret.Masker
	conceal   []string // texts that the mask is too coarse for

	retry        retryRule
	timeout      time.Duration // of the whole exchange; 0: none
	maxRedirects int           // 0: none is followed
	limit        int           // characters of the answer that are read; 0: none is needed
	transport    *http.Transport
}

// hide replaces what must not be seen.
func (r *httpRequest) hide(text string) string {
	text = r.mask.Mask(text)
	for _, part := range r.conceal {
		text = strings.ReplaceAll(text, part, "***")
	}
	return text
}

type requestOptions struct {
	config *params.Map
	client HTTPClient
	// secretAddress has the secret http.uri win over the command.
	secretAddress bool
}

// requestReader makes a request of the parameters and secrets of a task.
type requestReader struct {
	requestOptions
	t    *Task
	look lookUp
	*httpRequest
}

func readRequest(ctx context.Context, t *Task, o requestOptions) (*httpRequest, error) {
	look, err := remapped(t)
	if err != nil {
		return nil, err
	}
	mask := &secret.Masker{}
	r := &requestReader{requestOptions: o, t: t, httpRequest: &httpRequest{header: http.Header{}, mask: mask}}
	r.look = func(ctx context.Context, key string) (string, error) {
		value, err := look(ctx, key)
		mask.Add(value)
		if escaped, err := json.Marshal(value); err == nil { // as a server may repeat it
			mask.Add(strings.Trim(string(escaped), `"`))
		}
		return value, err
	}
	if r.method, err = params.Optional(o.config, "method", params.String, http.MethodGet); err != nil {
		return nil, err
	}
	if r.method = strings.ToUpper(r.method); !httpguts.ValidHeaderFieldName(r.method) { // the same characters
		return nil, configError("Parameter 'method' is no HTTP method: %s", sample(r.method))
	}
	for _, read := range []func(context.Context) error{
		r.readAddress, r.readHeaders, r.readCredentials, r.readContent, r.readLimits, r.readTransport,
	} {
		if err := read(ctx); err != nil {
			return nil, err
		}
	}
	return r.httpRequest, nil
}

// secret reads one of the operator's own secrets.
func (r *requestReader) secret(ctx context.Context, key string) (value string, found bool, err error) {
	value, err = r.look(ctx, "http."+key)
	var failure *Error
	if errors.As(err, &failure) && failure.Kind == "secret not found" {
		return "", false, nil
	}
	return strings.TrimRight(value, "\r\n"), err == nil, err // of a file, perhaps
}

func (r *requestReader) readAddress(ctx context.Context) error {
	var text string
	var private bool
	var err error
	if r.secretAddress {
		if text, private, err = r.secret(ctx, "uri"); err != nil {
			return err
		}
	}
	if !private {
		if text, err = params.Required(r.config, "_command", params.String); err != nil {
			return err
		}
		if text, private, err = fillIn(ctx, text, r.look); err != nil {
			return err
		}
	}
	query, inQuery, err := r.query(ctx)
	if err != nil {
		return err
	}
	r.address, err = parseAddress(text)
	switch {
	case err != nil && private: // a parser's complaint shows what it reads
		return configError("The address of a request, which has a secret in it, is no http or https address")
	case err != nil:
		return configError("No http or https address: %s", sample(text))
	}
	if query != "" {
		if r.address.RawQuery != "" {
			query = r.address.RawQuery + "&" + query
		}
		r.address.RawQuery = query
	}
	r.show(private || inQuery)
	return nil
}

// show fixes how the address is shown.
func (r *requestReader) show(private bool) {
	if !private {
		r.shown = r.address.Redacted()
		if password, _ := r.address.User.Password(); password != "" {
			r.conceal = append(r.conceal, password)
		}
		return
	}
	r.shown = r.address.Scheme + "://***"
	r.conceal = append(r.conceal, r.address.String(), r.address.Host, r.address.Hostname())
	if uri := r.address.RequestURI(); len(uri) > 1 {
		r.conceal = append(r.conceal, uri)
	}
}

// parseAddress reads an address, in which what no address may have in it is
// escaped.
func parseAddress(text string) (*url.URL, error) {
	address, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	if scheme := address.Scheme; scheme != "http" && scheme != "https" || address.Hostname() == "" {
		return nil, errors.New("no http or https address")
	}
	var query strings.Builder
	for i := range len(address.RawQuery) {
		if c := address.RawQuery[i]; c <= ' ' || c >= utf8.RuneSelf {
			fmt.Fprintf(&query, "%%%02X", c)
		} else {
			query.WriteByte(c)
		}
	}
	address.RawQuery, address.Fragment, address.RawFragment = query.String(), "", ""
	return address, nil
}

// query returns the parameter `query` as it is appended to the address: an
// object, as itself or as JSON, or a text like a query.
func (r *requestReader) query(ctx context.Context) (text string, private bool, err error) {
	v, _ := r.config.Lookup("query")
	if v == nil {
		return "", false, nil
	}
	if object, wrong := params.ParsedObject(v); wrong == "" {
		return r.encode(ctx, "query", pairsOf(object))
	}
	if text, err = params.Required(r.config, "query", params.String); err != nil {
		return "", false, err
	}
	pairs, err := splitQuery(text)
	if err != nil {
		return "", false, err
	}
	return r.encode(ctx, "query", pairs)
}

// pair is a name with its value, in a query or a form.
type pair struct {
	name  string
	value any
}

func pairsOf(object *params.Map) []pair {
	pairs := make([]pair, 0, object.Len())
	for name, value := range object.All() {
		pairs = append(pairs, pair{name, value})
	}
	return pairs
}

func splitQuery(text string) ([]pair, error) {
	var pairs []pair
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return nil, configError("Parameter 'query' is no query: %s", sample(text))
		}
		pairs = append(pairs, pair{name, value})
	}
	return pairs, nil
}

// encode writes pairs as a form does, with their secrets.
func (r *requestReader) encode(ctx context.Context, key string, pairs []pair) (text string, private bool, err error) {
	var b strings.Builder
	for _, p := range pairs {
		var value string
		if p.value != nil {
			var wrong string
			if value, wrong = params.String(p.value); wrong != "" {
				return "", false, configError(
					"Parameter '%s' may hold texts, numbers and true or false, but not %s: %s", key, p.name, sample(p.value))
			}
		}
		for i, part := range []string{p.name, value} {
			filled, found, err := fillIn(ctx, part, r.look)
			if err != nil {
				return "", false, err
			}
			b.WriteString([]string{"&", "="}[i] + url.QueryEscape(filled))
			private = private || found
		}
	}
	return strings.TrimPrefix(b.String(), "&"), private, nil
}

// readHeaders reads a list of objects with one key each, so that a name may be
// there more than once.
func (r *requestReader) readHeaders(ctx context.Context) error {
	r.header.Set("User-Agent", r.client.UserAgent)
	list, err := params.Optional(r.config, "headers", params.Array, nil)
	if err != nil {
		return err
	}
	own := http.Header{}
	for _, item := range list {
		header, ok := item.(*params.Map)
		if !ok || header.Len() != 1 {
			return configError("Each of 'headers' must be an object with one key, the header's name, and not %s", sample(item))
		}
		for name := range header.All() {
			if err := r.readHeader(ctx, own, header, name); err != nil {
				return err
			}
		}
	}
	for name, values := range own {
		r.header[name] = values
	}
	if host := r.header.Get("Host"); host != "" {
		r.host = host
		r.header.Del("Host")
	}
	return nil
}

func (r *requestReader) readHeader(ctx context.Context, to http.Header, from *params.Map, key string) error {
	value, err := params.Required(from, key, params.String)
	if err != nil {
		return err
	}
	name, inName, err := fillIn(ctx, key, r.look)
	if err != nil {
		return err
	}
	value, inValue, err := fillIn(ctx, value, r.look)
	if err != nil {
		return err
	}
	value = strings.TrimSpace(value)
	if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return configError("One of 'headers' can be no header: %s", sample(key)) // with its secrets not filled in
	}
	name = http.CanonicalHeaderKey(name)
	if inName || inValue {
		r.hidden = append(r.hidden, name)
	}
	if !slices.Contains(to[name], value) {
		to[name] = append(to[name], value)
	}
	return nil
}

// readCredentials reads who asks, from secrets only (O33). A header of the
// task's own wins.
func (r *requestReader) readCredentials(ctx context.Context) error {
	const name = "Authorization"
	r.hidden = append(r.hidden, name, "Cookie", "Proxy-Authorization") // whoever wrote it meant this server
	if r.header.Get(name) != "" {
		return nil
	}
	value, found, err := r.secret(ctx, "authorization")
	if err != nil {
		return err
	}
	if found {
		if !httpguts.ValidHeaderFieldValue(value) {
			return configError("The secret http.authorization can be no header")
		}
		r.header.Set(name, value)
		return nil
	}
	user, found, err := r.secret(ctx, "user")
	if err != nil {
		return err
	}
	password, _, err := r.secret(ctx, "password")
	if err != nil {
		return err
	}
	if !found { // as a browser does
		user = r.address.User.Username()
		password, _ = r.address.User.Password()
	}
	if found || r.address.User != nil {
		basic := http.Request{Header: r.header}
		basic.SetBasicAuth(user, password)
	}
	return nil
}

// readLimits reads how long and how often the request is sent.
func (r *requestReader) readLimits(context.Context) error {
	var err error
	if r.retry, err = readRetryRule(r.config, r.method); err != nil {
		return err
	}
	seconds, err := params.Optional(r.config, "timeout", params.Int, 30)
	if err != nil {
		return err
	}
	const most = 1 << 30
	if seconds < 0 || seconds > most {
		return configError("Parameter 'timeout' must be a number of seconds, not %d", seconds)
	}
	r.timeout = time.Duration(seconds) * time.Second
	follow, err := params.Optional(r.config, "follow_redirects", params.Bool, true)
	if follow {
		r.maxRedirects = r.client.MaxRedirects
	}
	return err
}
