// Package mailtest is an SMTP server for tests: it keeps what it is sent, speaks TLS
// with a certificate of its own, and goes wrong where a test asks it to.
//
// It knows nothing of ours. Its invariant: a message is in Messages before the client
// is told that it was taken.
package mailtest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Answers beside replies.
const (
	HangUp  = "hang up"  // the connection is closed without an answer
	Silence = "silence"  // no answer comes, until the client gives up
	GoOn    = ""         // the usual answer
	ThenEnd = "then end" // the usual answer, then the connection is closed
)

// Options configure a server. The zero value takes any mail, in the clear.
type Options struct {
	STARTTLS bool // is offered
	Implicit bool // TLS from the first byte
	// User and Password must be given to AUTH; no User: AUTH is not offered.
	User, Password string
	// Mechanisms are those of AUTH that are offered: PLAIN, LOGIN. Default PLAIN.
	Mechanisms []string
	// Answers replace the usual answers to a command, one after another: a reply, or
	// one of the constants. "CONNECT" is the greeting, "BODY" the end of a message.
	Answers map[string][]string
}

// Message is one message that was taken.
type Message struct {
	From   string
	To     []string
	Data   string
	Secure bool   // it came over TLS
	User   string // who was logged in
}

// Parse reads the message's header and body.
func (m Message) Parse(t testing.TB) *mail.Message {
	t.Helper()
	parsed, err := mail.ReadMessage(strings.NewReader(m.Data))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// Server is a running server, on a loopback address.
type Server struct {
	Host  string
	Port  int
	Roots *x509.CertPool // to trust its certificate
	CA    []byte         // the same as PEM

	options  Options
	cert     tls.Certificate
	listener net.Listener
	sessions sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	messages []Message
	commands []string
}

// New starts a server that ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Mechanisms) == 0 {
		o.Mechanisms = []string{"PLAIN"}
	}
	s := &Server{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port,
		options: o, listener: listener, conns: map[net.Conn]bool{},
	}
	s.cert, s.CA = certificate(t)
	s.Roots = x509.NewCertPool()
	s.Roots.AppendCertsFromPEM(s.CA)
	s.sessions.Go(s.accept)
	t.Cleanup(s.close)
	return s
}

// Messages returns what was taken so far.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

// Commands returns the verbs that were heard so far.
func (s *Server) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.commands...)
}

func (s *Server) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.sessions.Wait()
}

// accept ends with the listener; it serves each connection in a goroutine that ends with it.
func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
		s.sessions.Go(func() {
			defer func() { _ = conn.Close() }()
			s.serve(conn)
		})
	}
}

// session is one connection.
type session struct {
	*Server
	conn   net.Conn
	r      *bufio.Reader
	secure bool
	user   string
	from   string
	to     []string
}

func (s *Server) serve(conn net.Conn) {
	c := &session{Server: s, conn: conn, r: bufio.NewReader(conn)}
	if s.options.Implicit && !c.encrypt() {
		return
	}
	if !c.answer("CONNECT", "220 mailtest ESMTP") {
		return
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, argument, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		s.mu.Lock()
		s.commands = append(s.commands, verb)
		s.mu.Unlock()
		if !c.command(verb, argument) {
			return
		}
	}
}

// answer gives the usual answer, or the one that the test wants instead, and reports
// whether the dialogue goes on.
func (c *session) answer(verb, usual string) bool {
	c.mu.Lock()
	wanted := GoOn
	if list := c.options.Answers[verb]; len(list) > 0 {
		wanted, c.options.Answers[verb] = list[0], list[1:]
	}
	c.mu.Unlock()
	switch wanted {
	case HangUp:
		return false
	case Silence:
		_, _ = io.Copy(io.Discard, c.r)
		return false
	case GoOn, ThenEnd:
	default:
		usual = wanted
	}
	_, err := fmt.Fprintf(c.conn, "%s\r\n", usual)
	return err == nil && wanted != ThenEnd
}

func (c *session) command(verb, argument string) bool {
	switch verb {
	case "EHLO":
		return c.answer(verb, c.greeting())
	case "STARTTLS":
		return c.answer(verb, "220 go ahead") && c.encrypt()
	case "AUTH":
		return c.auth(argument)
	case "MAIL":
		c.from = address(argument)
	case "RCPT":
		c.to = append(c.to, address(argument))
	case "DATA":
		return c.answer(verb, "354 go on") && c.data()
	case "QUIT":
		c.answer(verb, "221 bye")
		return false
	}
	return c.answer(verb, "250 ok")
}

func (c *session) greeting() string {
	lines := []string{"mailtest"}
	if c.options.STARTTLS && !c.secure {
		lines = append(lines, "STARTTLS")
	}
	if c.options.User != "" {
		lines = append(lines, "AUTH "+strings.Join(c.options.Mechanisms, " "))
	}
	last := len(lines) - 1
	for i := range lines {
		lines[i] = "250" + map[bool]string{true: " ", false: "-"}[i == last] + lines[i]
	}
	return strings.Join(lines, "\r\n")
}

func (c *session) encrypt() bool {
	secured := tls.Server(c.conn, &tls.Config{Certificates: []tls.Certificate{c.cert}})
	c.conn, c.r, c.secure = secured, bufio.NewReader(secured), true
	return secured.Handshake() == nil
}

// auth takes PLAIN with its initial response and LOGIN with its two questions.
func (c *session) auth(argument string) bool {
	mechanism, response, _ := strings.Cut(argument, " ")
	var words []string
	if mechanism == "LOGIN" {
		for _, question := range []string{"Username:", "Password:"} {
			if !c.answer("AUTH", "334 "+base64.StdEncoding.EncodeToString([]byte(question))) {
				return false
			}
			line, err := c.r.ReadString('\n')
			if err != nil {
				return false
			}
			words = append(words, decode(line))
		}
	} else {
		words = strings.Split(decode(response), "\x00")[1:]
	}
	if len(words) != 2 || words[0] != c.options.User || words[1] != c.options.Password {
		return c.answer("AUTH", "535 5.7.8 authentication failed")
	}
	c.user = words[0]
	return c.answer("AUTH", "235 welcome")
}

func decode(text string) string {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return "\x00"
	}
	return string(b)
}

func (c *session) data() bool {
	var b strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	c.mu.Lock()
	refuse := len(c.options.Answers["BODY"]) > 0 && c.options.Answers["BODY"][0] != GoOn && c.options.Answers["BODY"][0] != ThenEnd
	if !refuse {
		c.messages = append(c.messages, Message{From: c.from, To: c.to, Data: b.String(), Secure: c.secure, User: c.user})
	}
	c.from, c.to = "", nil
	c.mu.Unlock()
	return c.answer("BODY", "250 taken")
}

var inBrackets = regexp.MustCompile(`<([^>]*)>`)

func address(argument string) string {
	if m := inBrackets.FindStringSubmatch(argument); m != nil {
		return m[1]
	}
	return argument
}
