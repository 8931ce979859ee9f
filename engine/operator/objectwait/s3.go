package objectwait

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

func runS3(ctx context.Context, t *operator.Task, o Options) (*operator.Result, error) {
	r, err := readS3(t)
	if err != nil {
		return nil, err
	}
	w := wait{pace: pace{5 * time.Second, 300 * time.Second}}
	if w.target, err = readTarget(t, r.config, "s3", "key"); err != nil {
		return nil, err
	}
	goOn, err := params.Optional(r.config, "continue_on_timeout", params.Bool, false)
	if err != nil {
		return nil, err
	}
	if v, _ := r.config.Lookup("timeout"); v != nil {
		timeout, err := params.Required(r.config, "timeout", params.Duration)
		if err != nil {
			return nil, err
		}
		w.timeout = &timeout
	}
	h, err := r.request(ctx, w.target)
	if err != nil {
		return nil, err
	}
	h.client = o.client(t)
	object, err := w.next(ctx, t, h.look)
	var late *expired
	if goOn && errors.As(err, &late) {
		return result("s3", nil), tell(t, "%v", late)
	}
	if err != nil {
		return nil, err
	}
	return result("s3", object), nil
}

// s3Settings reads what secrets and parameters say of S3. A secret of `aws.s3` comes before
// one of `aws`, and a secret before the parameter.
type s3Settings struct {
	config  *params.Map
	secrets *operator.Settings
}

func readS3(t *operator.Task) (*s3Settings, error) {
	aws, err := params.Optional(t.Config, "aws", params.Object, nil)
	if err != nil {
		return nil, err
	}
	s3, err := params.Optional(aws, "s3", params.Object, nil)
	if err != nil {
		return nil, err
	}
	secrets, err := operator.NewSettings(t, "aws")
	if err != nil {
		return nil, err
	}
	return &s3Settings{config: params.Merge(params.Merge(aws, s3), t.Config), secrets: secrets}, nil
}

// secret returns the first of several secrets that there is; of none, the empty text.
func (r *s3Settings) secret(ctx context.Context, keys ...string) (string, error) {
	for _, key := range keys {
		if value, found, err := r.secrets.OptionalSecret(ctx, key); err != nil || found {
			return value, err
		}
	}
	return "", nil
}

// credential returns a secret that must be there: without one, whatever the machine itself
// is allowed to do would be open to every project.
func (r *s3Settings) credential(ctx context.Context, key string) (string, error) {
	if value, err := r.secret(ctx, "s3."+key); err != nil || value != "" {
		return value, err
	}
	return r.secrets.Secret(ctx, key)
}

func (r *s3Settings) request(ctx context.Context, o target) (*headRequest, error) {
	h := &headRequest{target: o, header: http.Header{}}
	var err error
	if h.version, err = params.Optional(r.config, "version_id", params.String, ""); err != nil {
		return nil, err
	}
	if h.pathStyle, err = params.Optional(r.config, "path_style_access", params.Bool, false); err != nil {
		return nil, err
	}
	if h.id, err = r.credential(ctx, "access_key_id"); err != nil {
		return nil, err
	}
	if h.secret, err = r.credential(ctx, "secret_access_key"); err != nil {
		return nil, err
	}
	if !isToken(h.id) {
		return nil, operator.ConfigError("The secret 'aws.access_key_id' has characters that no such id has")
	}
	if err = r.readServer(ctx, h); err != nil {
		return nil, err
	}
	return h, r.readCustomerKey(ctx, h)
}

// regionName is the form that the names of Amazon's regions have. A list of them would be
// out of date soon.
var regionName = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`)

func (r *s3Settings) readServer(ctx context.Context, h *headRequest) error {
	endpoint, err := r.secret(ctx, "s3.endpoint")
	if err == nil && endpoint == "" {
		endpoint, err = params.Optional(r.config, "endpoint", params.String, "")
	}
	if err != nil {
		return err
	}
	if h.region, err = r.secret(ctx, "s3.region", "region"); err == nil && h.region == "" {
		h.region, err = params.Optional(r.config, "region", params.String, "")
	}
	switch {
	case err != nil:
		return err
	case endpoint != "":
		h.endpoint, err = readEndpoint(endpoint)
	case h.region != "" && !regionName.MatchString(h.region):
		err = operator.ConfigError("Unknown region: %s", h.region)
	}
	return err
}

// readEndpoint reads the address of a server, which is `https` unless it says otherwise.
func readEndpoint(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, operator.ConfigError("The endpoint must be an http or https address or a host")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, operator.ConfigError("The endpoint must be an address without user, query and fragment")
	}
	return u, nil
}

// readCustomerKey reads the key of an object that is encrypted with its owner's (SSE-C).
func (r *s3Settings) readCustomerKey(ctx context.Context, h *headRequest) error {
	key, err := r.secret(ctx, "s3.sse_c_key")
	if err != nil || key == "" {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return operator.ConfigError("The secret 'aws.s3.sse_c_key' must be a key in base64")
	}
	if h.endpoint != nil && h.endpoint.Scheme != "https" {
		return operator.ConfigError("The secret 'aws.s3.sse_c_key' is only sent to an https endpoint")
	}
	algorithm, err := r.secret(ctx, "s3.sse_c_key_algorithm")
	if err != nil {
		return err
	}
	if algorithm == "" {
		algorithm = "AES256"
	}
	sum, err := r.secret(ctx, "s3.sse_c_key_md5")
	if err != nil {
		return err
	}
	if sum == "" {
		digest := md5.Sum(raw)
		sum = base64.StdEncoding.EncodeToString(digest[:])
	}
	if !isToken(algorithm) || !isToken(sum) {
		return operator.ConfigError("The secrets 'aws.s3.sse_c_key_algorithm' and 'aws.s3.sse_c_key_md5' have characters that cannot be sent")
	}
	const prefix = "X-Amz-Server-Side-Encryption-Customer-"
	h.header.Set(prefix+"Algorithm", algorithm)
	h.header.Set(prefix+"Key", key)
	h.header.Set(prefix+"Key-Md5", sum)
	return nil
}

// isToken tells whether a text can be part of a header. What cannot is never sent, so that
// it would be tried for ever.
func isToken(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
}
