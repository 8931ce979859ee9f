package gitsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/net/proxy"
)

// openSession connects to the remote. It runs in the child only: go-git's SSH
// transport can be given a dialer through a process-wide table and in no other
// way.
func openSession(req request, u remoteURL, until time.Time) (transport.UploadPackSession, error) {
	ep, err := transport.NewEndpoint(req.Repo.URL)
	if err != nil {
		return nil, errors.New("the URL of the repository cannot be used")
	}
	if u.kind == kindSSH {
		return openSSH(req, u, ep, until)
	}
	user, secret, err := req.Repo.Auth.httpCredential()
	if err != nil {
		return nil, err
	}
	var auth transport.AuthMethod
	switch {
	case secret != "" && req.Bearer:
		auth = &githttp.TokenAuth{Token: secret}
	case secret != "":
		auth = &githttp.BasicAuth{Username: user, Password: secret}
	}
	tr := http.DefaultTransport.(*http.Transport).Clone()
	d := deadlineDialer{idle: req.Idle, until: until}
	tr.DialContext = d.DialContext
	tr.TLSHandshakeTimeout = req.Idle
	client := &http.Client{Transport: shortErrors{tr}, CheckRedirect: sameOrigin}
	return githttp.NewClient(client).NewUploadPackSession(ep, auth)
}

// shortErrors cuts the bodies of refusals, which go-git reads without a limit,
// and keeps what go-git drops: the status and how long the server wants peace.
type shortErrors struct{ next http.RoundTripper }

func (s shortErrors) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(req)
	if err != nil || resp.StatusCode < http.StatusBadRequest {
		return resp, err
	}
	defer resp.Body.Close()
	return nil, httpStatus(resp)
}

func openSSH(req request, u remoteURL, ep *transport.Endpoint, until time.Time) (transport.UploadPackSession, error) {
	user := orDefault(u.user, "git")
	auth, err := gitssh.NewPublicKeysFromFile(user, req.Repo.Auth.SSHKeyFile, "")
	if err != nil {
		return nil, fmt.Errorf("read ssh key %s: %w", req.Repo.Auth.SSHKeyFile, err)
	}
	if _, err := os.Stat(req.Repo.Auth.KnownHostsFile); err != nil {
		return nil, fmt.Errorf("read known hosts: %w", err)
	}
	known, err := gitssh.NewKnownHostsDb(req.Repo.Auth.KnownHostsFile)
	if err != nil {
		return nil, fmt.Errorf("read known hosts %s: %w", req.Repo.Auth.KnownHostsFile, err)
	}
	// Callback and algorithms belong together: without the second a server that
	// has keys of several kinds offers one that the file does not hold.
	auth.HostKeyCallback = known.HostKeyCallback()
	auth.HostKeyAlgorithms = known.HostKeyAlgorithms(sshAddress(ep))
	if len(auth.HostKeyAlgorithms) == 0 {
		return nil, fmt.Errorf("host %s is not in %s", sshAddress(ep), req.Repo.Auth.KnownHostsFile)
	}
	proxy.RegisterDialerType(dialerScheme, newDeadlineDialer)
	ep.Proxy = transport.ProxyOptions{URL: dialerURL(req.Idle, until)}
	s, err := gitssh.NewClient(nil).NewUploadPackSession(ep, auth)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", sshAddress(ep), err)
	}
	return s, nil
}

// sshAddress is the address that go-git dials: ssh_config may name another host.
func sshAddress(ep *transport.Endpoint) string {
	host, port := ep.Host, ep.Port
	if gitssh.DefaultSSHConfig != nil {
		if h := gitssh.DefaultSSHConfig.Get(ep.Host, "Hostname"); h != "" {
			host = h
			if p, err := strconv.Atoi(gitssh.DefaultSSHConfig.Get(ep.Host, "Port")); err == nil {
				port = p
			}
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(orDefault(port, gitssh.DefaultPort)))
}

// listSession lists what the server advertises, which is everything it has.
func listSession(ctx context.Context, req request, u remoteURL) (Tip, error) {
	until, _ := ctx.Deadline()
	s, err := openSession(req, u, until)
	if err != nil {
		return Tip{}, err
	}
	defer s.Close()
	adv, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		return Tip{}, remoteError("list references", err)
	}
	name, h, err := advertised(adv, req.Repo.Ref)
	if err != nil {
		return Tip{}, err
	}
	if p, ok := adv.Peeled[name]; ok {
		h = p
	}
	return Tip{Commit: h.String(), Ref: name}, nil
}

func advertised(adv *packp.AdvRefs, ref string) (string, plumbing.Hash, error) {
	return resolveRef(ref, func(name string) (plumbing.Hash, bool) {
		if name == "HEAD" {
			if adv.Head == nil {
				return plumbing.ZeroHash, false
			}
			return *adv.Head, true
		}
		h, ok := adv.References[name]
		return h, ok
	})
}

// download fetches one reference, shallow, and indexes the pack.
func download(ctx context.Context, req request, u remoteURL, out *answers) (objects, Tip, error) {
	until, _ := ctx.Deadline()
	out.phase("connect")
	s, err := openSession(req, u, until)
	if err != nil {
		return nil, Tip{}, err
	}
	defer s.Close()
	adv, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, Tip{}, remoteError("list references", err)
	}
	at := Tip{Commit: req.Repo.Ref}
	want := plumbing.NewHash(req.Repo.Ref)
	if !fullCommit.MatchString(req.Repo.Ref) {
		if at.Ref, want, err = advertised(adv, req.Repo.Ref); err != nil {
			return nil, Tip{}, err
		}
		at.Commit = want.String()
	}
	out.phase("fetch")
	spool, shallow, err := receive(ctx, s, adv, want, req)
	if err != nil {
		return nil, Tip{}, remoteError("fetch "+orDefault(at.Ref, at.Commit), err)
	}
	out.phase("index objects")
	p, err := openPack(ctx, spool, req.Query.Work, defaultPackLimits)
	if err != nil {
		return nil, Tip{}, fmt.Errorf("read the fetched objects: %w", err)
	}
	p.shallow = shallow
	return p, at, nil
}

// receive spools the pack to a file, up to the limit.
func receive(ctx context.Context, s transport.UploadPackSession, adv *packp.AdvRefs, want plumbing.Hash, req request,
) (string, map[plumbing.Hash]bool, error) {
	ask := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	ask.Wants = []plumbing.Hash{want}
	if adv.Capabilities.Supports(capability.Shallow) {
		ask.Depth = packp.DepthCommits(req.Depth)
		if err := ask.Capabilities.Set(capability.Shallow); err != nil {
			return "", nil, err
		}
	}
	resp, err := s.UploadPack(ctx, ask)
	if err != nil {
		return "", nil, err
	}
	defer resp.Close()
	spool := filepath.Join(req.Query.Work, "pack")
	if err := spoolPack(spool, demux(ask.Capabilities, resp), defaultPackLimits.bytes); err != nil {
		return "", nil, err
	}
	shallow := map[plumbing.Hash]bool{}
	for _, h := range resp.Shallows {
		shallow[h] = true
	}
	return spool, shallow, nil
}

func demux(caps *capability.List, r io.Reader) io.Reader {
	switch {
	case caps.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, r)
	case caps.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, r)
	}
	return r
}

func spoolPack(file string, r io.Reader, limit int64) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(r, limit+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if n > limit {
		return fmt.Errorf("the pack is larger than %d bytes", limit)
	}
	return nil
}

// remoteError puts go-git's errors into words and drops what is in no one's
// interest, such as the whole URL.
func remoteError(what string, err error) error {
	var unexpected *plumbing.UnexpectedError // it does not unwrap
	if errors.As(err, &unexpected) {
		err = unexpected.Err
	}
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return errors.New("the remote repository has no commits")
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return errors.New("there is no such repository, or no right to see it")
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if strings.Contains(err.Error(), "not our ref") {
		return fmt.Errorf("%s: the server does not give out this commit (uploadpack.allowReachableSHA1InWant), or it was just replaced: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
