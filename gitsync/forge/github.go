package forge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
)

// push is all that is used of a push event.
type push struct {
	Ref        string `json:"ref"`
	Repository struct {
		CloneURL      string `json:"clone_url"`
		SSHURL        string `json:"ssh_url"`
		HTMLURL       string `json:"html_url"`
		DefaultBranch string `json:"default_branch"`
	} `json:"repository"`
}

// verifyGitHub compares X-Hub-Signature-256 with the HMAC of the raw body under
// each of the secrets. How long it takes says nothing about them.
func verifyGitHub(header string, body []byte, secrets [][]byte) bool {
	digits, ok := strings.CutPrefix(header, "sha256=")
	if !ok {
		return false
	}
	sent, err := hex.DecodeString(digits)
	if err != nil || len(sent) != sha256.Size {
		return false
	}
	good := false
	for _, s := range secrets {
		m := hmac.New(sha256.New, s)
		m.Write(body)
		good = hmac.Equal(m.Sum(nil), sent) || good
	}
	return good
}

var errContentType = errors.New("the content type must be application/json or application/x-www-form-urlencoded")

// decodeGitHub reads the push out of a body of either content type.
func decodeGitHub(contentType string, body []byte) (push, error) {
	var p push
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return p, errContentType
	}
	switch media {
	case "application/json":
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return p, errors.New("the form is malformed")
		}
		body = []byte(form.Get("payload"))
	default:
		return p, errContentType
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("the payload is malformed: %w", err)
	}
	if p.Ref == "" {
		return p, errors.New("the payload names no ref")
	}
	return p, nil
}

// about says whether a push is about a configured repository and its reference.
func (p push) about(r Repo) bool {
	return p.ofRepository(r.URL) && p.ofRef(r.Ref)
}

func (p push) ofRepository(configured string) bool {
	want := place(configured)
	if want == "" {
		return false
	}
	for _, u := range []string{p.Repository.CloneURL, p.Repository.SSHURL, p.Repository.HTMLURL} {
		if place(u) == want {
			return true
		}
	}
	return false
}

func (p push) ofRef(configured string) bool {
	switch {
	case configured == "" || configured == "HEAD":
		return p.Ref == "refs/heads/"+p.Repository.DefaultBranch
	case strings.HasPrefix(configured, "refs/"):
		return p.Ref == configured
	}
	return p.Ref == "refs/heads/"+configured || p.Ref == "refs/tags/"+configured
}

// place is host/path of a URL in any of Git's notations, so that the notation
// does not matter. It is empty for a local path.
func place(raw string) string {
	host, path := "", ""
	if strings.Contains(raw, "://") {
		u, err := url.Parse(raw)
		if err != nil {
			return ""
		}
		host, path = u.Hostname(), u.Path
	} else if before, after, ok := strings.Cut(raw, ":"); ok && !strings.Contains(before, "/") {
		host, path = before[strings.LastIndex(before, "@")+1:], after
	}
	if host == "" {
		return ""
	}
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	return strings.ToLower(host + "/" + path)
}
