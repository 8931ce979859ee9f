// Package slack delivers alerts to one Slack channel, as a bot or through an
// incoming webhook.
//
// A bot keeps one message an incident: the first failure posts it, further ones
// answer in its thread, the recovery edits it and answers once. A webhook can do
// neither, so everything is a message of its own there. The package keeps no
// incident in memory: the thread comes in with the alert and leaves with the receipt.
//
// It knows package notify and slack-go, the latter in client.go and blocks.go only.
// Invariant: no error, log or print of it contains the token or the webhook's address.
package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gitdag/notify"
)

const (
	defaultAPI     = "https://slack.com/api/"
	defaultTimeout = 10 * time.Second
	// Slack takes about one message a second and channel, and short bursts.
	every = time.Second
	burst = 3
	// longOutage is when a recovery is worth telling the whole channel, since an edited
	// message notifies nobody.
	longOutage = time.Hour
)

// Options says which channel and how. Either Webhook, or Token and Channel.
type Options struct {
	Webhook   notify.Source     // address of an incoming webhook; any http or https address
	Token     notify.Source     // bot token with chat:write
	Channel   string            // "#name" or id
	APIURL    string            // base of the Web API; default https://slack.com/api/
	Timeout   time.Duration     // of one request; default 10s
	Transport http.RoundTripper // default: one of its own, with time limits and the environment's proxy
}

func (o Options) validate() error {
	switch {
	case (o.Webhook == nil) == (o.Token == nil):
		return errors.New("slack: give either a webhook or a token")
	case o.Token != nil && o.Channel == "":
		return errors.New("slack: a token needs a channel")
	case o.Webhook != nil && o.Channel != "":
		return errors.New("slack: a webhook has a channel of its own")
	case o.Timeout < 0:
		return fmt.Errorf("slack: negative timeout %s", o.Timeout)
	}
	if u, err := url.Parse(o.APIURL); err != nil || !isHTTP(u) {
		return errors.New("slack: the API's address is not an http or https URL")
	}
	return nil
}

// Sender is a notify.Sender for one channel. It may be used concurrently.
type Sender struct {
	opts Options
	pace *pacer
}

// New returns a sender. It does not talk to Slack and reads no secret yet.
func New(o Options) (*Sender, error) {
	if o.APIURL == "" {
		o.APIURL = defaultAPI
	}
	if !strings.HasSuffix(o.APIURL, "/") {
		o.APIURL += "/"
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Transport == nil {
		o.Transport = notify.Transport(o.Timeout)
	}
	return &Sender{opts: o, pace: newPacer(every, burst)}, nil
}

// Send delivers the alert. Its error is a *notify.Error, or wraps that of ctx.
func (s *Sender) Send(ctx context.Context, a notify.Alert) (notify.Receipt, error) {
	c, err := s.client()
	if err != nil {
		return notify.Receipt{}, err
	}
	msg := encode(a)
	var r notify.Receipt
	switch {
	case c.hook:
		err = c.webhook(ctx, msg)
	case a.Thread.TS == "":
		r, err = c.post(ctx, msg, s.fresh())
	case a.Kind.Closes():
		r, err = s.close(ctx, c, a, msg)
	default:
		r, err = s.answer(ctx, c, msg, place{channel: a.Thread.Channel, thread: a.Thread.TS})
	}
	if err != nil {
		return notify.Receipt{}, public(ctx, err)
	}
	return r, nil
}

// client reads the secret anew, so that a rotated file is obeyed at once.
func (s *Sender) client() (*client, error) {
	source := s.opts.Token
	if source == nil {
		source = s.opts.Webhook
	}
	secret, err := source()
	if err != nil {
		return nil, &notify.Error{Reason: "slack: " + err.Error()}
	}
	c := &client{
		secret:    secret,
		hook:      s.opts.Webhook != nil,
		api:       s.opts.APIURL,
		transport: s.opts.Transport,
		timeout:   s.opts.Timeout,
		pace:      s.pace,
	}
	if c.hook {
		if u, err := url.Parse(secret.Reveal()); err != nil || !isHTTP(u) {
			return nil, &notify.Error{Reason: "slack: the webhook's address is not an http or https URL", Permanent: true}
		}
	}
	return c, nil
}

func (s *Sender) fresh() place { return place{channel: s.opts.Channel} }

// answer posts into the thread. When its first message is gone, deleted or left behind
// in a channel that no longer takes messages, the answer becomes a first message.
func (s *Sender) answer(ctx context.Context, c *client, msg message, at place) (notify.Receipt, error) {
	r, err := c.post(ctx, msg, at)
	if lost(err) {
		return c.post(ctx, msg, s.fresh())
	}
	return r, err
}

// close edits the incident's first message and answers it once. The edit comes first
// because it may be repeated: a try that fails between the two is made again as a whole.
func (s *Sender) close(ctx context.Context, c *client, a notify.Alert, msg message) (notify.Receipt, error) {
	err := c.update(ctx, msg, a.Thread.Channel, a.Thread.TS)
	switch {
	case lost(err):
		return c.post(ctx, msg, s.fresh())
	case err != nil && !frozen(err):
		return notify.Receipt{}, err
	}
	at := place{channel: a.Thread.Channel, thread: a.Thread.TS}
	at.broadcast = !a.Since.IsZero() && a.At.Sub(a.Since) >= longOutage
	if err == nil {
		msg = msg.short() // the edited message holds the rest
	}
	return s.answer(ctx, c, msg, at)
}

func isHTTP(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
