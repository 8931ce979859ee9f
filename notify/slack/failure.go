package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	slackgo "github.com/slack-go/slack"

	"gitdag/notify"
)

// maxAnswer bounds what is read of an answer; Slack's are a few kilobytes.
const maxAnswer = 1 << 20

var errNoTimestamp = errors.New("the answer names no message")

// failure is a request that did not succeed, described without the request's address:
// by Slack's own error code, by the HTTP status, or by the kind of network trouble.
type failure struct {
	code       string // Slack's error code
	status     int    // HTTP status, 0 where no answer came
	hook       bool   // the answer is a webhook's, which speaks by HTTP status
	text       string
	retryAfter time.Duration
}

func (f *failure) Error() string { return f.text }

// classify returns nil for success. err is what slack-go made of the answer; seen is
// the answer itself, because slack-go drops the status of some and the header of others.
func classify(err error, seen *witness, hook bool) *failure {
	f := &failure{status: seen.status, retryAfter: seen.retryAfter, hook: hook}
	var answer slackgo.SlackErrorResponse
	switch {
	case err == nil:
		return nil
	case seen.status == 0:
		f.text = notify.Trouble(err)
	case seen.status == http.StatusOK && errors.As(err, &answer):
		f.code = code(answer.Err)
		f.text = f.code
	case seen.status == http.StatusOK && errors.Is(err, errNoTimestamp):
		f.text = errNoTimestamp.Error()
	case seen.status == http.StatusOK:
		f.text = "the answer could not be read"
	case seen.status/100 == 2 && hook:
		return nil // servers that imitate Slack's webhooks answer 201 or 204
	case seen.status/100 == 3:
		f.text = fmt.Sprintf("redirected (status %d), which is not followed", seen.status)
	default:
		f.text = fmt.Sprintf("status %d %s", seen.status, http.StatusText(seen.status))
	}
	return f
}

var codeShape = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// code lets only Slack's kind of error codes through: an answer from elsewhere may hold anything.
func code(s string) string {
	if codeShape.MatchString(s) {
		return s
	}
	return "unknown error"
}

// permanent reports whether the next try would be refused too. Whatever is not known
// to be so is temporary.
func (f *failure) permanent() bool {
	switch f.code {
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type",
		"missing_scope", "no_permission", "access_denied", "ekm_access_denied", "enterprise_is_restricted",
		"team_access_not_granted", "org_login_required", "two_factor_setup_required",
		"channel_not_found", "not_in_channel", "is_archived", "restricted_action", "restricted_action_read_only_channel",
		"restricted_action_thread_only_channel", "restricted_action_non_threadable_channel", "messages_tab_disabled",
		"invalid_arguments", "invalid_form_data", "invalid_post_type", "method_deprecated", "deprecated_endpoint",
		"unknown_method", "no_text":
		return true
	case "":
		return f.hook && refused(f.status)
	default:
		return badForm(f)
	}
}

// refused lists what a webhook answers for good (404: revoked, 410: channel archived).
// The Web API answers 200 to whatever reaches it, so there a status says that
// something else answered, and that may pass.
func refused(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusGone, http.StatusRequestEntityTooLarge:
		return true
	default:
		return false
	}
}

// lost reports whether the message that was to be edited or answered cannot be reached.
func lost(err error) bool {
	switch codeOf(err) {
	case "message_not_found", "thread_not_found", "cannot_reply_to_message", "invalid_ts", "invalid_thread_ts",
		"channel_not_found", "not_in_channel", "is_archived":
		return true
	default:
		return false
	}
}

// frozen reports whether the message is there but may not be edited any more.
func frozen(err error) bool {
	switch codeOf(err) {
	case "cant_update_message", "edit_window_closed", "update_failed":
		return true
	default:
		return false
	}
}

// badForm reports whether the message was refused for its form, not its destination.
func badForm(err error) bool {
	switch codeOf(err) {
	case "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "too_many_attachments",
		"attachment_payload_limit_exceeded", "msg_too_long", "msg_blocks_too_long", "block_mismatch",
		"invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large", "metadata_must_be_sent_from_app":
		return true
	default:
		var f *failure
		return errors.As(err, &f) && f.code == "" && (f.status == http.StatusBadRequest || f.status == http.StatusRequestEntityTooLarge)
	}
}

func codeOf(err error) string {
	var f *failure
	if errors.As(err, &f) {
		return f.code
	}
	return ""
}

// public turns an error into what Send returns.
func public(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("send to slack: %w", ctx.Err())
	}
	var f *failure
	if errors.As(err, &f) {
		return &notify.Error{Reason: "slack: " + f.text, Permanent: f.permanent(), RetryAfter: f.retryAfter}
	}
	return &notify.Error{Reason: "slack: the request failed"}
}

// witness notes an answer on its way to slack-go and bounds its body. It serves
// one request, in the goroutine that makes it.
type witness struct {
	next       http.RoundTripper
	status     int
	retryAfter time.Duration
}

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	w.status = resp.StatusCode
	if w.status == http.StatusTooManyRequests || w.status == http.StatusServiceUnavailable {
		w.retryAfter = notify.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}
