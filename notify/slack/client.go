package slack

import (
	"context"
	"net/http"
	"time"

	slackgo "github.com/slack-go/slack"

	"gitdag/notify"
)

// client makes single requests with one reading of the secret. It is made for one Send.
type client struct {
	secret    notify.Secret
	hook      bool // the secret is a webhook's address, not a token
	api       string
	transport http.RoundTripper
	timeout   time.Duration
	pace      *pacer
}

// place is where a message goes.
type place struct {
	channel   string
	thread    string // ts of the message to answer; empty: a message of its own
	broadcast bool   // show the answer in the channel too
}

// post sends a message and returns the receipt of the incident's first message: the
// thread's, or the new message's own. Slack posts an answer to a deleted message
// as a message of its own, which is then the first one.
func (c *client) post(ctx context.Context, msg message, at place) (notify.Receipt, error) {
	var r notify.Receipt
	err := c.form(ctx, msg, func(ctx context.Context, api *slackgo.Client, body []slackgo.MsgOption) error {
		body = append(body, slackgo.MsgOptionDisableLinkUnfurl(), slackgo.MsgOptionDisableMediaUnfurl())
		if at.thread != "" {
			body = append(body, slackgo.MsgOptionTS(at.thread))
		}
		if at.broadcast {
			body = append(body, slackgo.MsgOptionBroadcast())
		}
		channel, ts, posted, err := api.PostMessageWithResponseContext(ctx, at.channel, body...)
		if err != nil {
			return err
		}
		if ts == "" {
			return errNoTimestamp // slack-go takes {"ok":false} without an error for success
		}
		threaded := at.thread != "" && (posted.Timestamp == "" || posted.ThreadTimestamp != "")
		if threaded {
			ts = at.thread
		}
		r = notify.Receipt{Channel: channel, TS: ts}
		return nil
	})
	return r, err
}

// update replaces a message.
func (c *client) update(ctx context.Context, msg message, channel, ts string) error {
	return c.form(ctx, msg, func(ctx context.Context, api *slackgo.Client, body []slackgo.MsgOption) error {
		_, got, _, err := api.UpdateMessageContext(ctx, channel, ts, body...)
		if err == nil && got == "" {
			return errNoTimestamp
		}
		return err
	})
}

// webhook sends a message to the incoming webhook.
func (c *client) webhook(ctx context.Context, msg message) error {
	return c.plainer(msg, func(m message) error {
		return c.request(ctx, func(ctx context.Context, hc *http.Client) error {
			return slackgo.PostWebhookCustomHTTPContext(ctx, c.secret.Reveal(), hc, m.webhook())
		})
	})
}

// form makes one call of the Web API.
func (c *client) form(ctx context.Context, msg message, call func(context.Context, *slackgo.Client, []slackgo.MsgOption) error) error {
	return c.plainer(msg, func(m message) error {
		return c.request(ctx, func(ctx context.Context, hc *http.Client) error {
			api := slackgo.New(c.secret.Reveal(), slackgo.OptionAPIURL(c.api), slackgo.OptionHTTPClient(hc))
			return call(ctx, api, m.options())
		})
	})
}

// plainer sends once more, as text alone, what is refused for its form: rules of form
// change on the service's side, and a plain alert is worth more than none.
func (c *client) plainer(msg message, send func(message) error) error {
	err := send(msg)
	if badForm(err) && !msg.bare() {
		return send(msg.short())
	}
	return err
}

// request waits for its turn, makes one request within the time limit and
// classifies what came of it.
func (c *client) request(ctx context.Context, do func(context.Context, *http.Client) error) error {
	if err := c.pace.wait(ctx, c.timeout); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	seen := &witness{next: c.transport}
	err := do(ctx, &http.Client{
		Transport: seen,
		Timeout:   c.timeout,
		// A redirect would carry the token or the alert to a host that nobody named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	f := classify(err, seen, c.hook)
	if f == nil {
		return nil
	}
	if f.retryAfter > 0 {
		c.pace.hold(f.retryAfter)
	}
	return f
}
