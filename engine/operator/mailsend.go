package operator

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	maillog "github.com/wneessen/go-mail/log"
)

const (
	mailConnect = 10 * time.Second
	mailIdle    = 60 * time.Second // without a byte in either direction
	mailGoodbye = time.Second      // for the answer to QUIT, on which nothing depends
)

// mailServer is the server of one task, settled.
type mailServer struct{ MailServer }

// send makes one connection and sends one mail.
func (s *mailServer) send(ctx context.Context, l *letter, log io.Writer) error {
	msg := l.message()
	conn := &mailConn{idle: mailIdle}
	defer conn.end()
	err := s.dialogue(ctx, conn, msg, log)
	switch {
	case msg.IsDelivered():
		return nil // what goes wrong after the server has taken the mail would send it twice
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		return nil
	}
	reason, _, _ := strings.Cut(err.Error(), ", affected message ID") // which nobody has seen
	if s.Password != "" {
		reason = strings.ReplaceAll(reason, s.Password, "***")
	}
	return fmt.Errorf("send mail through %s: %s", s.Host, reason)
}

func (s *mailServer) dialogue(ctx context.Context, conn *mailConn, msg *gomail.Msg, log io.Writer) error {
	client, err := gomail.NewClient(s.Host, s.options(ctx, conn, log)...)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	err = client.SendWithSMTPClient(session, msg)
	conn.idle = mailGoodbye
	_ = client.CloseWithSMTPClient(session)
	return err
}

func (s *mailServer) options(ctx context.Context, conn *mailConn, log io.Writer) []gomail.Option {
	secured := &tls.Config{ServerName: s.Host, RootCAs: s.RootCAs, MinVersion: tls.VersionTLS12}
	options := []gomail.Option{
		gomail.WithTimeout(mailIdle), gomail.WithTLSConfig(secured),
		// Needless round trips; the second's failure would follow a mail that was taken.
		gomail.WithoutNoop(), gomail.WithoutRset(),
	}
	switch {
	case s.SSL:
		options = append(options, gomail.WithSSL())
	case s.TLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if !s.SSL {
		secured = nil
	}
	options = append(options, gomail.WithDialContextFunc(conn.dialer(ctx, net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), secured)))
	if s.Username != "" {
		options = append(options, gomail.WithUsername(s.Username), gomail.WithPassword(s.Password),
			// As Digdag: plain text first, on whatever connection there is.
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc,
				gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthCramMD5))
	}
	if s.Debug {
		options = append(options, gomail.WithLogger(maillog.New(log, maillog.LevelDebug)), gomail.WithDebugLog())
	}
	return options
}

// message puts the letter into MIME: the text, then the files.
func (l *letter) message() *gomail.Msg {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(l.from)
	msg.SetGenHeader("Sender", l.from.String())
	msg.ToMailAddress(l.to...)
	msg.CcMailAddress(l.cc...)
	msg.BccMailAddress(l.bcc...)
	msg.Subject(strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(l.subject)) // a header is one line
	msg.SetDate()
	msg.SetMessageID()
	kind := gomail.TypeTextPlain
	if l.html {
		kind = gomail.TypeTextHTML
	}
	msg.SetBodyString(kind, l.body)
	for _, a := range l.files {
		msg.AttachReadSeeker(a.name, a.file, gomail.WithFileContentType(gomail.ContentType(a.kind)))
	}
	return msg
}

// mailConn is a connection that fails when it is idle for too long or its context ends.
// go-mail instead sets one deadline for a whole message, however large, obeys a context
// until it is connected, and leaves the connection open when the dialogue before the
// message fails.
type mailConn struct {
	net.Conn
	idle time.Duration
	stop func() bool
}

// dialer returns the function that connects, once. The connection ends with whole; the
// function's own context ends when go-mail is connected.
func (c *mailConn) dialer(whole context.Context, address string, secured *tls.Config) gomail.DialContextFunc {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{Timeout: mailConnect}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c.Conn = conn
		c.stop = context.AfterFunc(whole, func() { _ = conn.Close() })
		if secured == nil {
			return c, nil
		}
		over := tls.Client(c, secured)
		return over, over.HandshakeContext(ctx)
	}
}

func (c *mailConn) end() {
	if c.Conn != nil {
		c.stop()
		_ = c.Conn.Close()
	}
}

// Read implements [net.Conn].
func (c *mailConn) Read(p []byte) (int, error) {
	if err := c.Conn.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write implements [net.Conn].
func (c *mailConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// SetDeadline does nothing: see mailConn.
func (c *mailConn) SetDeadline(time.Time) error { return nil }
