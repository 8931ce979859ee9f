package gitsync

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Repo is one configured repository.
type Repo struct {
	Name     string        // default: last element of the URL without ".git"
	URL      string        // https://, http://, ssh://, user@host:path or a local path
	Ref      string        // branch, tag, refs/…, or full commit; default: the remote's default branch
	Path     string        // folder in which projects are looked for; default "."
	Poll     time.Duration // how often the reference is listed; default 60s
	Auth     Auth
	Insecure bool // allows http:// to hosts that are not this machine
}

// Auth names the files that hold a repository's credentials. They are read
// again at every poll, so that they can be rotated.
type Auth struct {
	TokenFile      string // http(s): sent as Basic, or as Bearer where the server asks for that
	Username       string // http(s): for PasswordFile, or in front of the token
	PasswordFile   string
	SSHKeyFile     string // ssh: private key without a passphrase
	KnownHostsFile string // ssh: the only host keys that are accepted
}

const (
	defaultPoll = time.Minute
	minPoll     = time.Second
)

// Complete fills in the defaults and checks the result. Its errors never show
// the URL of a repository, which may hold a password by mistake.
func (r Repo) Complete() (Repo, error) {
	remote, err := parseURL(r.URL)
	if err != nil {
		return r, fmt.Errorf("url of repository %q: %w", r.Name, err)
	}
	if r.Name == "" {
		r.Name = remote.defaultName()
	}
	if r.Poll == 0 {
		r.Poll = defaultPoll
	}
	if remote.kind == kindLocal {
		if r.URL, err = filepath.Abs(r.URL); err != nil {
			return r, fmt.Errorf("url of repository %q: %w", r.Name, err)
		}
	}
	r.Path = path.Clean(filepath.ToSlash(r.Path))
	for _, check := range []func() error{
		r.checkName, r.checkRef, r.checkPath,
		func() error { return r.checkAuth(remote) },
	} {
		if err := check(); err != nil {
			return r, fmt.Errorf("repository %q: %w", r.Name, err)
		}
	}
	if r.Poll < minPoll {
		return r, fmt.Errorf("repository %q: poll %s is below %s", r.Name, r.Poll, minPoll)
	}
	return r, nil
}

func (r Repo) checkName() error {
	if r.Name == "" || r.Name == "." || r.Name == ".." {
		return errors.New("it needs a name")
	}
	if strings.ContainsFunc(r.Name, func(c rune) bool { return c < 0x20 || c == '/' || c == '\\' || c == 0x7f }) {
		return errors.New("its name may not hold slashes or control characters")
	}
	return nil
}

var refPattern = regexp.MustCompile(`^[^\x00-\x20\x7f~^:?*\[\\<>=]+$`)

func (r Repo) checkRef() error {
	if r.Ref == "" {
		return nil
	}
	if !refPattern.MatchString(r.Ref) || strings.HasPrefix(r.Ref, "-") || strings.Contains(r.Ref, "..") {
		return fmt.Errorf("ref %q is not a branch, a tag or a full commit (patterns and version ranges are not supported)", r.Ref)
	}
	return nil
}

func (r Repo) checkPath() error {
	if !filepath.IsLocal(r.Path) {
		return fmt.Errorf("path %q leaves the repository", r.Path)
	}
	return nil
}

func (r Repo) checkAuth(u remoteURL) error {
	a := r.Auth
	httpAuth := a.TokenFile != "" || a.Username != "" || a.PasswordFile != ""
	sshAuth := a.SSHKeyFile != "" || a.KnownHostsFile != ""
	switch {
	case u.kind != kindHTTP && httpAuth:
		return errors.New("auth: token_file, username and password_file are for http(s) URLs")
	case u.kind != kindSSH && sshAuth:
		return errors.New("auth: ssh_key_file and known_hosts_file are for ssh URLs")
	case u.kind == kindHTTP:
		if u.scheme == "http" && !r.Insecure && !isLoopback(u.host) {
			return errors.New("http:// is unprotected: use https://, or set insecure: true")
		}
		return a.checkHTTP()
	case u.kind == kindSSH && (a.SSHKeyFile == "" || a.KnownHostsFile == ""):
		return errors.New("auth: an ssh URL needs ssh_key_file and known_hosts_file (unknown hosts are never accepted)")
	}
	return nil
}

func (a Auth) checkHTTP() error {
	switch {
	case a.TokenFile != "" && a.PasswordFile != "":
		return errors.New("auth: give token_file or password_file, not both")
	case a.PasswordFile != "" && a.Username == "":
		return errors.New("auth: password_file needs username")
	case a.Username != "" && a.PasswordFile == "" && a.TokenFile == "":
		return errors.New("auth: username needs password_file or token_file")
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

type urlKind int

const (
	kindLocal urlKind = iota
	kindHTTP
	kindSSH
)

// remoteURL is what the rest of the package needs to know of a URL.
type remoteURL struct {
	kind   urlKind
	scheme string
	user   string // ssh only
	host   string // without port
	port   string
	path   string
}

var scpPattern = regexp.MustCompile(`^(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9._-]{2,}|\[[0-9A-Fa-f:.]+\]):([^\\]+)$`)

func parseURL(raw string) (remoteURL, error) {
	switch {
	case raw == "":
		return remoteURL{}, errors.New("it is missing")
	case strings.HasPrefix(raw, "-"), strings.ContainsFunc(raw, func(c rune) bool { return c < 0x20 || c == 0x7f }):
		return remoteURL{}, errors.New("it begins with - or holds control characters")
	case strings.Contains(raw, "://"):
		return parseSchemeURL(raw)
	}
	if m := scpPattern.FindStringSubmatch(raw); m != nil && !strings.Contains(strings.SplitN(raw, ":", 2)[0], "/") {
		if strings.HasPrefix(m[2], "-") || strings.HasPrefix(m[3], "-") {
			return remoteURL{}, errors.New("its host or path begins with -")
		}
		return remoteURL{kind: kindSSH, scheme: "ssh", user: m[1], host: strings.Trim(m[2], "[]"), path: m[3]}, nil
	}
	return remoteURL{kind: kindLocal, path: raw}, nil
}

func parseSchemeURL(raw string) (remoteURL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return remoteURL{}, errors.New("it cannot be parsed")
	}
	r := remoteURL{scheme: u.Scheme, host: u.Hostname(), port: u.Port(), path: u.Path}
	switch u.Scheme {
	case "https", "http":
		r.kind = kindHTTP
		if u.User != nil {
			return remoteURL{}, errors.New("it holds credentials: use auth")
		}
		if u.RawQuery != "" || u.Fragment != "" {
			return remoteURL{}, errors.New("it has a query or a fragment")
		}
	case "ssh":
		r.kind = kindSSH
		if _, has := u.User.Password(); has {
			return remoteURL{}, errors.New("it holds a password: use auth")
		}
		r.user = u.User.Username()
	case "file":
		return remoteURL{}, errors.New("file:// is not supported: give the path itself")
	default:
		return remoteURL{}, fmt.Errorf("scheme %q is not supported: use https, ssh or a local path", u.Scheme)
	}
	if r.host == "" || strings.HasPrefix(r.host, "-") || r.path == "" || r.path == "/" {
		return remoteURL{}, errors.New("it lacks a host or a path")
	}
	return r, nil
}

func (u remoteURL) defaultName() string {
	p := strings.TrimRight(filepath.ToSlash(u.path), "/")
	if u.kind == kindLocal {
		if abs, err := filepath.Abs(u.path); err == nil {
			p = strings.TrimSuffix(filepath.ToSlash(abs), "/.git")
		}
	}
	return strings.TrimSuffix(path.Base(p), ".git")
}
