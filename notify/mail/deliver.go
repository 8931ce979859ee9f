package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"gitdag/notify"
)

const (
	// goodbye bounds the wait for the answer to QUIT, on which nothing depends.
	goodbye = time.Second
	// maxReason characters of an answer are told.
	maxReason = 300
)

// deliver makes one connection and sends one message.
func (s *Sender) deliver(ctx context.Context, subject, body, password string) error {
	msg := s.message(subject, body)
	line := &line{host: s.opts.Host, port: s.opts.Port}
	if s.opts.TLS == Implicit {
		line.tls = s.tlsConfig()
	}
	defer line.close()
	options := append(s.clientOptions(password), gomail.WithDialContextFunc(line.dialer(ctx)))
	client, err := gomail.NewClient(s.opts.Host, options...)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	err = client.SendWithSMTPClient(session, msg)
	if line.hasGoodbye() {
		_ = client.CloseWithSMTPClient(session)
	}
	if msg.IsDelivered() {
		return nil // what goes wrong after the server has taken the message would send it twice
	}
	return err
}

func (s *Sender) message(subject, body string) *gomail.Msg {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	msg.ToMailAddress(s.to...)
	msg.CcMailAddress(s.cc...)
	msg.BccMailAddress(s.bcc...)
	msg.Subject(subject)
	msg.SetDate()
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no out-of-office replies
	kind := gomail.TypeTextPlain
	if s.opts.HTML {
		kind = gomail.TypeTextHTML
	}
	msg.SetBodyString(kind, body)
	return msg
}

func (s *Sender) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.opts.Host, RootCAs: s.opts.RootCAs, MinVersion: tls.VersionTLS12}
}

func (s *Sender) clientOptions(password string) []gomail.Option {
	options := []gomail.Option{
		gomail.WithPort(s.opts.Port), gomail.WithTimeout(s.opts.Timeout),
		gomail.WithTLSConfig(s.tlsConfig()),
		// Needless round trips; the second's failure would follow a message that was taken.
		gomail.WithoutNoop(), gomail.WithoutRset(),
	}
	switch s.opts.TLS {
	case Implicit:
		options = append(options, gomail.WithSSL())
	case Never:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	}
	if s.opts.Username != "" {
		options = append(options, gomail.WithUsername(s.opts.Username), gomail.WithPassword(password),
			// As Digdag: plain text first, on whatever connection there is.
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc,
				gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthCramMD5))
	}
	return options
}

// line is the connection. go-mail obeys a context until it is connected, and leaves the
// connection open when the dialogue before the message fails; this mends both.
type line struct {
	host string
	port int
	tls  *tls.Config // nil: it begins in the clear
	conn net.Conn
	stop func() bool
}

// dialer returns the function that connects, once. The connection ends with whole; the
// function's own context ends when go-mail is connected.
func (l *line) dialer(whole context.Context) gomail.DialContextFunc {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		dialer := &net.Dialer{Timeout: connectTimeout}
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(l.host, strconv.Itoa(l.port)))
		if err != nil {
			return nil, err
		}
		l.conn = conn
		l.stop = context.AfterFunc(whole, func() { _ = conn.Close() })
		if l.tls == nil {
			return conn, nil
		}
		secured := tls.Client(conn, l.tls)
		return secured, secured.HandshakeContext(ctx)
	}
}

// hasGoodbye reports whether the connection can be ended politely, which takes a second
// at most.
func (l *line) hasGoodbye() bool { return l.conn.SetDeadline(time.Now().Add(goodbye)) == nil }

func (l *line) close() {
	if l.conn != nil {
		l.stop()
		_ = l.conn.Close()
	}
}

// outcome classifies a failure. What the server says may be told, but for the password.
func outcome(ctx context.Context, err error, password string) error {
	var send *gomail.SendError
	var answer *textproto.Error
	e := &notify.Error{}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("mail: %w", ctx.Err())
	case errors.As(err, &send):
		e.Permanent = send.ErrorCode() >= 500
	case errors.As(err, &answer):
		e.Permanent = answer.Code >= 500
	}
	e.Reason, _, _ = strings.Cut(err.Error(), ", affected message ID") // which nobody has seen
	if password != "" {
		e.Reason = strings.ReplaceAll(e.Reason, password, "***")
	}
	e.Reason = "mail: " + notify.Excerpt(e.Reason, maxReason)
	return e
}
