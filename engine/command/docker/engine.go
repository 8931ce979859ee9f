package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/docker/client"
)

// engine is a Docker engine that has answered.
type engine struct {
	api  *client.Client
	host string
	// own is the container that we run in ourselves, if it is one of this engine.
	own *ownContainer
}

// local tells whether the engine is on this machine.
func (e *engine) local() bool { return strings.HasPrefix(e.host, "unix://") }

// connect returns the engine, which is asked for again until it has answered once.
func (x *Executor) connect(ctx context.Context) (*engine, error) {
	done, err := x.turns.take(ctx, "connect")
	if err != nil {
		return nil, err
	}
	defer done()
	if x.engine != nil {
		return x.engine, nil
	}
	settings, err := findClientSettings(x.o.Environ)
	if err != nil {
		return nil, err
	}
	api, err := client.NewClientWithOpts(settings.options()...)
	if err != nil {
		return nil, fmt.Errorf("prepare a client of the engine at %s: %w", settings.host, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, pingTimeout, fmt.Errorf("it did not answer within %v", pingTimeout))
	defer cancel()
	pong, err := api.Ping(ctx)
	if err != nil {
		api.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("no Docker engine answers at %s, and the task wants a container: %w; start Docker, set DOCKER_HOST, or name another program with `docker: {docker: PROGRAM}`", settings.host, err)
	}
	if settings.version == "" {
		api.NegotiateAPIVersionPing(pong)
	}
	e := &engine{api: api, host: settings.host}
	if err := errors.Join(e.findOwn(ctx), x.settleOwed(ctx, e)); err != nil {
		api.Close()
		return nil, err
	}
	x.engine = e
	return e, nil
}

// clientSettings say where the engine is and how it is spoken to.
type clientSettings struct {
	host, version string
	// certs holds ca.pem, cert.pem and key.pem; empty for no TLS.
	certs string
}

// findClientSettings looks where Docker's own program looks: DOCKER_HOST, then
// the context that DOCKER_CONTEXT or the configuration names, then the usual
// socket.
func findClientSettings(env []string) (clientSettings, error) {
	var s clientSettings
	s.version, _ = look(env, "DOCKER_API_VERSION")
	s.host, _ = look(env, "DOCKER_HOST")
	if s.host != "" {
		s.certs, _ = look(env, "DOCKER_CERT_PATH")
		if verify, _ := look(env, "DOCKER_TLS_VERIFY"); verify != "" && s.certs == "" {
			s.certs = configDir(env)
		}
		return s, s.check()
	}
	config, err := readConfig(env)
	if err != nil {
		return s, err
	}
	name, _ := look(env, "DOCKER_CONTEXT")
	if name == "" {
		name = config.CurrentContext
	}
	s.host = client.DefaultDockerHost
	if name != "" && name != "default" {
		if err := config.readContext(name, &s); err != nil {
			return s, fmt.Errorf("read the context %q of Docker: %w", name, err)
		}
	}
	return s, s.check()
}

func (s clientSettings) check() error {
	if strings.HasPrefix(s.host, "ssh://") {
		return fmt.Errorf("the engine at %s is reached over SSH, which only Docker's own program can: use `docker: {docker: docker}`", s.host)
	}
	return nil
}

func (s clientSettings) options() []client.Opt {
	options := []client.Opt{client.WithHost(s.host)}
	if s.version != "" {
		options = append(options, client.WithVersion(s.version))
	}
	if s.certs != "" {
		options = append(options, s.tls())
	}
	return options
}

// tls checks the engine's certificate, also where Docker's own program is lax.
func (s clientSettings) tls() client.Opt {
	file := func(name string) string {
		path := filepath.Join(s.certs, name)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return ""
		}
		return path
	}
	return client.WithTLSClientConfig(file("ca.pem"), file("cert.pem"), file("key.pem"))
}
