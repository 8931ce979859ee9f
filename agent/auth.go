package agent

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"gitdag/agent/api"
)

// BasicUser is the one user that Digdag's server knows; none if the name is
// empty.
type BasicUser struct {
	Name, Password string
	Admin          bool
}

// authenticator lets in who bears the token, or has the name and the password
// of a user. Each of its parts may be missing.
type authenticator struct {
	token *secretFile // of the API
	users *secretFile // with their bcrypt hashes
	user  BasicUser

	// salt makes the fingerprints of passwords that were found right, so that
	// the hash, which is slow on purpose, is worked out once for each.
	salt  []byte
	slots chan struct{} // hashes at a time
	mu    sync.Mutex
	right map[string][sha256.Size]byte // by user and hash
}

// hashesAtATime bounds the processors that wrong passwords can keep busy.
const hashesAtATime = 2

// newAuthenticator returns nil where everybody may do everything.
func newAuthenticator(c *Auth, user BasicUser, log *slog.Logger) (api.Authenticator, error) {
	if c.TokenFile == "" && c.BasicFile == "" && user.Name == "" {
		return nil, nil
	}
	a := &authenticator{
		user: user, salt: make([]byte, 32), slots: make(chan struct{}, hashesAtATime),
		right: map[string][sha256.Size]byte{},
	}
	if _, err := rand.Read(a.salt); err != nil {
		return nil, fmt.Errorf("make a salt: %w", err)
	}
	var err error
	if c.TokenFile != "" {
		if a.token, err = newSecretFile("the API token", c.TokenFile, checkToken, log); err != nil {
			return nil, err
		}
	}
	if c.BasicFile != "" {
		if a.users, err = newSecretFile("the list of API users", c.BasicFile, checkUsers, log); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Authenticate tells who asks.
func (a *authenticator) Authenticate(r *http.Request) (api.Identity, error) {
	given := r.Header.Get("Authorization")
	if given == "" {
		return api.Identity{}, a.refusal("Missing Authorization header")
	}
	scheme, credentials, _ := strings.Cut(given, " ")
	credentials = strings.TrimSpace(credentials)
	if strings.EqualFold(scheme, "Bearer") {
		if a.token != nil && same(credentials, a.token.current()) {
			return api.Identity{Admin: true}, nil
		}
		return api.Identity{}, a.refusal("unauthorized")
	}
	pair, err := base64.StdEncoding.DecodeString(credentials)
	name, password, ok := strings.Cut(string(pair), ":")
	if err != nil || !ok || !strings.EqualFold(scheme, "Basic") {
		return api.Identity{}, a.refusal("unauthorized")
	}
	return a.basic(r.Context(), name, password)
}

// basic tells who has a name and a password.
func (a *authenticator) basic(ctx context.Context, name, password string) (api.Identity, error) {
	if a.user.Name != "" {
		known, right := same(name, a.user.Name), same(password, a.user.Password)
		if known && right {
			return api.Identity{Name: name, Admin: a.user.Admin}, nil
		}
	}
	if a.users != nil {
		right, err := a.check(ctx, name, password)
		if err != nil {
			return api.Identity{}, err
		}
		if right {
			return api.Identity{Name: name}, nil
		}
	}
	return api.Identity{}, a.refusal("unauthorized")
}

// refusal says how to ask. A browser asks for a name and a password then (Q1).
func (a *authenticator) refusal(message string) error {
	e := &api.Unauthorized{Message: message}
	if a.users != nil || a.user.Name != "" {
		e.Challenges = append(e.Challenges, `Basic realm="gitdag", charset="UTF-8"`)
	}
	if a.token != nil {
		e.Challenges = append(e.Challenges, `Bearer realm="gitdag"`)
	}
	return e
}

// same compares in a time that tells nothing about either text.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// check compares a password with what the file of users holds. A user that
// there is not takes as long as one with a wrong password.
func (a *authenticator) check(ctx context.Context, name, password string) (bool, error) {
	hash, decoy := "", ""
	for line := range strings.Lines(a.users.current()) {
		user, h, ok := parseUser(line)
		if !ok {
			continue
		}
		decoy = h
		if same(user, name) {
			hash = h
		}
	}
	mac := hmac.New(sha256.New, a.salt)
	mac.Write([]byte(password))
	mark := [sha256.Size]byte(mac.Sum(nil))
	key := name + "\x00" + hash
	a.mu.Lock()
	known, ok := a.right[key]
	a.mu.Unlock()
	if ok && hash != "" && subtle.ConstantTimeCompare(known[:], mark[:]) == 1 {
		return true, nil
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return false, fmt.Errorf("%w: %w", api.ErrUnavailable, ctx.Err())
	}
	if hash == "" {
		_ = bcrypt.CompareHashAndPassword([]byte(decoy), []byte(password))
		return false, nil
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) != nil {
		return false, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.right) > 1000 { // hashes that were replaced
		clear(a.right)
	}
	a.right[key] = mark
	return true, nil
}

// parseUser reads a line of a file of users; ok is false for an empty one and a
// comment.
func parseUser(line string) (name, hash string, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return "", "", false
	}
	name, hash, _ = strings.Cut(line, ":")
	return name, hash, true
}

// checkUsers refuses a file of users that could not be used as it is meant.
func checkUsers(text string) error {
	users, n := 0, 0
	for line := range strings.Lines(text) {
		n++
		name, hash, ok := parseUser(line)
		if !ok {
			continue
		}
		if _, err := bcrypt.Cost([]byte(hash)); err != nil || name == "" {
			return fmt.Errorf("line %d is no name and bcrypt hash, as `htpasswd -B` writes it", n)
		}
		users++
	}
	if users == 0 {
		return errors.New("there is no user in it")
	}
	return nil
}

func checkToken(text string) error {
	if text == "" {
		return errors.New("there is no token in it")
	}
	return nil
}

// secretFile is what a file of credentials holds. It is read at each look, so
// that it can be replaced while the agent runs.
type secretFile struct {
	what  string
	file  string
	check func(text string) error
	log   *slog.Logger

	mu   sync.Mutex
	good string // what the file held last
	bad  string // why it cannot be used now; "" if it can
}

func newSecretFile(what, file string, check func(string) error, log *slog.Logger) (*secretFile, error) {
	f := &secretFile{what: what, file: file, check: check, log: log}
	var err error
	f.good, err = f.read()
	return f, err
}

func (f *secretFile) read() (string, error) {
	data, err := os.ReadFile(f.file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", f.what, err)
	}
	text := string(bytes.TrimSuffix(data, []byte("\n")))
	if err := f.check(text); err != nil {
		return "", fmt.Errorf("read %s from %s: %w", f.what, f.file, err)
	}
	return text, nil
}

// current returns what the file holds. While it is missing or broken, as while
// it is being replaced, what it held last stays valid.
func (f *secretFile) current() string {
	text, err := f.read()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.good, f.bad = text, ""
		return text
	}
	if err.Error() != f.bad {
		f.bad = err.Error()
		f.log.Warn(f.what+" stays as it was", "err", err)
	}
	return f.good
}
