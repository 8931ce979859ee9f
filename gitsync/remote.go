package gitsync

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Remote is one repository and its reference, somewhere else.
type Remote interface {
	// List says what the reference points at. It is cheap and writes nothing.
	List(ctx context.Context) (Tip, error)
	// Fetch reads what the reference points at by then and exports what q asks
	// for into q.Work. What it leaves behind there after an error is garbage.
	Fetch(ctx context.Context, q Query) (Fetched, error)
}

// Tip is what a reference points at.
type Tip struct {
	Commit string
	Ref    string // full name; empty for a commit
}

// Query is what a sync wants from a fetch.
type Query struct {
	Work      string        // empty directory, on the file system of the checkouts
	Checkouts string        // trees that exist there are not exported again
	Commit    string        // live by now, or empty
	Live      []LiveProject // trees of these paths are known to be good
	Restore   []string      // trees to export if the fetched objects hold them
	Phase     func(string)  // told what the fetch is doing; may be nil
}

// Fetched is a commit, and what is in it.
type Fetched struct {
	Ref      string
	Commit   Commit
	Relation Relation // of Commit to Query.Commit
	Since    []Commit
	Projects []FoundProject // good ones, by path
	Refused  []Refusal      // by path
	Restored []string       // of Query.Restore, as far as they were found
}

// FoundProject is a project in a commit.
type FoundProject struct {
	Path string
	Name string
	Tree string
}

// Refusal is forbidden content: a project, or a folder with all that is in it.
type Refusal struct {
	Path   string
	Name   string // of a project
	Folder bool   // live projects below Path keep their last good revision
	Diag   Diagnostic
}

// retryAfterError carries how long a server asks to be left alone.
type retryAfterError struct {
	error
	after time.Duration
}

func (e retryAfterError) Unwrap() error { return e.error }

var fullCommit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// refCandidates lists the full names that a configured reference may mean, best
// first. The empty reference is the remote's default branch.
func refCandidates(ref string) []string {
	switch {
	case ref == "" || ref == "HEAD":
		return []string{"HEAD"}
	case strings.HasPrefix(ref, "refs/"):
		return []string{ref}
	}
	return []string{"refs/heads/" + ref, "refs/tags/" + ref}
}

// resolveRef picks the reference among those that look knows.
func resolveRef(ref string, look func(name string) (plumbing.Hash, bool)) (string, plumbing.Hash, error) {
	for _, name := range refCandidates(ref) {
		if h, ok := look(name); ok && !h.IsZero() {
			return name, h, nil
		}
	}
	if ref == "" {
		return "", plumbing.ZeroHash, fmt.Errorf("the remote has no default branch")
	}
	return "", plumbing.ZeroHash, fmt.Errorf("the remote has no branch or tag %q", ref)
}

const maxSecretBytes = 64 << 10

// readSecret reads a credential file and drops one trailing newline.
func readSecret(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("read credential: %w", err)
	}
	if info.Size() > maxSecretBytes {
		return "", fmt.Errorf("read credential: %s holds more than %d bytes", file, maxSecretBytes)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read credential: %w", err)
	}
	s := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if s == "" {
		return "", fmt.Errorf("read credential: %s is empty", file)
	}
	return s, nil
}

// tokenUser goes in front of a token where no username is configured. GitHub
// documents it; the other forges accept any name with a token.
const tokenUser = "x-access-token"

// httpCredential reads the user and the password, or the token, for HTTP. All
// are empty without auth.
func (a Auth) httpCredential() (user, secret string, err error) {
	switch {
	case a.TokenFile != "":
		secret, err = readSecret(a.TokenFile)
		return orDefault(a.Username, tokenUser), secret, err
	case a.PasswordFile != "":
		secret, err = readSecret(a.PasswordFile)
		return a.Username, secret, err
	}
	return "", "", nil
}
