package operator

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"

	"gitdag/engine/params"
)

// MailServer is the mail server of the installation (Digdag's `config.mail.*`), for
// tasks that name none of their own.
type MailServer struct {
	Host               string // empty: there is none
	Port               int    // 0: 25, or 465 with SSL
	Username, Password string // no Username: no login
	TLS                bool   // STARTTLS where it is offered
	SSL                bool   // TLS from the first byte
	Debug              bool   // show the dialogue in the task's log
	// From and Subject are for tasks without, whatever server they name.
	From, Subject string
	// RootCAs are who may have signed the certificate of any mail server; nil means
	// the system's.
	RootCAs *x509.CertPool
}

// Mail returns the operator `mail>` (operators.md 7.3).
func Mail(server MailServer) Entry {
	run := func(ctx context.Context, t *Task) (*Result, error) { return runMail(ctx, t, server) }
	return Entry{Operator: operatorFunc(run), Retries: true}
}

// letter is a mail before it is put into MIME.
type letter struct {
	from        *mail.Address
	to, cc, bcc []*mail.Address
	subject     string
	html        bool
	body        string
	files       []attachment
}

// runMail sends one mail. It is not idempotent: a task that runs again sends again.
func runMail(ctx context.Context, t *Task, server MailServer) (*Result, error) {
	config, err := withDefaults(t.Config, "mail")
	if err != nil {
		return nil, err
	}
	l, err := readLetter(ctx, t, config, server)
	if err != nil {
		return nil, err
	}
	defer l.close()
	s, err := readMailServer(ctx, t, config, server)
	if err != nil {
		return nil, err
	}
	if v, _ := config.Lookup("password"); v != nil {
		if _, err := io.WriteString(t.Log, "mail: the parameter `password` is ignored: the secret mail.password holds the password\n"); err != nil {
			return nil, fmt.Errorf("write to the task log: %w", err)
		}
	}
	if err := s.send(ctx, l, t.Log); err != nil {
		return nil, err
	}
	return &Result{}, nil
}

func readLetter(ctx context.Context, t *Task, config *params.Map, server MailServer) (*letter, error) {
	l := &letter{}
	var err error
	if l.subject, err = params.Optional(config, "subject", params.String, server.Subject); err != nil {
		return nil, err
	}
	if l.subject == "" {
		if l.subject, err = params.Required(config, "subject", params.String); err != nil {
			return nil, err
		}
	}
	to, err := params.Required(config, "to", textOrList)
	if err != nil {
		return nil, err
	}
	if len(to) == 0 {
		return nil, configError("Parameter 'to' names nobody")
	}
	if l.to, err = mailAddresses("to", to); err != nil {
		return nil, err
	}
	if l.cc, err = mailCopies(config, "cc"); err != nil {
		return nil, err
	}
	if l.bcc, err = mailCopies(config, "bcc"); err != nil {
		return nil, err
	}
	if l.from, err = mailSender(config, server.From); err != nil {
		return nil, err
	}
	if l.html, err = params.Optional(config, "html", params.Bool, false); err != nil {
		return nil, err
	}
	if l.body, err = commandText(ctx, t, config, "body"); err != nil {
		return nil, err
	}
	if l.files, err = readAttachments(ctx, t, config); err != nil {
		return nil, err
	}
	return l, nil
}

func mailCopies(config *params.Map, key string) ([]*mail.Address, error) {
	texts, err := params.Optional(config, key, stringList, nil)
	if err != nil {
		return nil, err
	}
	return mailAddresses(key, texts)
}

func mailSender(config *params.Map, missing string) (*mail.Address, error) {
	text, err := params.Optional(config, "from", params.String, missing)
	if err == nil && text == "" {
		text, err = params.Required(config, "from", params.String)
	}
	if err != nil {
		return nil, err
	}
	list, err := mailAddresses("from", []string{text})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// textOrList takes a text, or a list of them.
func textOrList(v any) ([]string, string) {
	if text, ok := params.Text(v); ok {
		return []string{text}, ""
	}
	if list, wrong := stringList(v); wrong == "" {
		return list, ""
	}
	return nil, "string or array of strings"
}

// mailAddresses reads addresses, each with a name or without.
func mailAddresses(key string, texts []string) ([]*mail.Address, error) {
	list := make([]*mail.Address, 0, len(texts))
	for _, text := range texts {
		a, err := mail.ParseAddress(text)
		if err != nil {
			return nil, configError("Parameter '%s' holds no mail address: %s", key, sample(text))
		}
		list = append(list, a)
	}
	return list, nil
}

// readMailServer returns the server that a mail goes through: wholly the task's own,
// where it or a secret names a host, or wholly the installation's, so that the
// password of the one never goes to the other.
func readMailServer(ctx context.Context, t *Task, config *params.Map, installed MailServer) (*mailServer, error) {
	r, err := newMailSettings(ctx, t, config)
	if err != nil {
		return nil, err
	}
	s := &mailServer{MailServer: MailServer{RootCAs: installed.RootCAs}}
	if s.Host, err = mailSetting(r, "host", params.String, ""); err != nil {
		return nil, err
	}
	if s.Host == "" {
		if installed.Host == "" {
			return nil, configError("Parameter 'host' is required: neither the task, nor the secret mail.host, nor the configuration names a mail server")
		}
		s.MailServer = installed
		switch {
		case s.Port == 0 && s.SSL:
			s.Port = 465
		case s.Port == 0:
			s.Port = 25
		}
		return s, nil
	}
	if err := s.readPort(r); err != nil {
		return nil, err
	}
	if s.Username, err = mailSetting(r, "username", params.String, ""); err != nil {
		return nil, err
	}
	if s.Password, _, err = r.secret("password"); err != nil {
		return nil, err
	}
	if s.TLS, err = mailSetting(r, "tls", params.Bool, true); err != nil {
		return nil, err
	}
	if s.SSL, err = mailSetting(r, "ssl", params.Bool, false); err != nil {
		return nil, err
	}
	s.Debug, err = params.Optional(config, "debug", params.Bool, false)
	return s, err
}

// readPort reads the port of a task's own server. The secret alone is enough (O14).
func (s *mailServer) readPort(r *mailSettings) (err error) {
	if s.Port, err = mailSetting(r, "port", params.Int, 0); err != nil {
		return err
	}
	if s.Port == 0 {
		if s.Port, err = params.Required(r.config, "port", params.Int); err != nil {
			return err
		}
	}
	if s.Port < 1 || s.Port > 65535 {
		return configError("Parameter 'port' must be between 1 and 65535, not %d", s.Port)
	}
	return nil
}

// mailSettings reads what a secret or a parameter may hold.
type mailSettings struct {
	secret func(key string) (value string, found bool, err error)
	config *params.Map
}

func newMailSettings(ctx context.Context, t *Task, config *params.Map) (*mailSettings, error) {
	look, err := remapped(t)
	if err != nil {
		return nil, err
	}
	secret := func(key string) (string, bool, error) {
		value, err := look(ctx, "mail."+key)
		var failure *Error
		if errors.As(err, &failure) && failure.Kind == "secret not found" {
			return "", false, nil
		}
		return strings.TrimRight(value, "\r\n"), err == nil, err // of a file, perhaps
	}
	return &mailSettings{secret: secret, config: config}, nil
}

// mailSetting reads a setting: its secret first, then its parameter.
func mailSetting[T any](r *mailSettings, key string, as params.Conversion[T], missing T) (T, error) {
	text, found, err := r.secret(key)
	if err != nil {
		return missing, err
	}
	if !found {
		return params.Optional(r.config, key, as, missing)
	}
	value, expected := as(text)
	if expected != "" {
		return missing, configError("Expected %s for the secret 'mail.%s'", expected, key) // its value is not told
	}
	return value, nil
}
