package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"gitdag/agent/api"
	"gitdag/internal/atomicfile"
)

// serve listens and answers requests.
func (a *Agent) serve(ctx context.Context) error {
	s := &a.options.Server
	o, err := a.apiOptions()
	if err != nil {
		return err
	}
	a.onStop(func(context.Context) { a.serving.Wait() })
	wrap := func(h http.Handler) http.Handler { return h }
	if s.AccessLog.Dir != "" {
		lines, err := openAccessLog(s.AccessLog, a.log)
		if err != nil {
			return err
		}
		a.onStop(func(context.Context) { lines.close() })
		wrap = lines.wrap
	}
	if a.listener, err = a.listen(ctx, a.config.Load().Listen, wrap(api.New(o))); err != nil {
		return err
	}
	if s.AdminListen != "" {
		if a.admin, err = a.listen(ctx, s.AdminListen, wrap(api.NewAdmin(o))); err != nil {
			return err
		}
	}
	return a.writeRuntimeInfo()
}

// listen has a handler answer the requests of an address until the agent stops.
func (a *Agent) listen(ctx context.Context, addr string, handler http.Handler) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) { // it would name the address once more
			err = op.Err
		}
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	t := &a.options.Server.Timeouts
	// The handler gives large requests and answers more time.
	server := &http.Server{
		Handler: handler, MaxHeaderBytes: 64 << 10,
		ReadHeaderTimeout: cmp.Or(t.Header, 10*time.Second), IdleTimeout: cmp.Or(t.Idle, 2*time.Minute),
		ReadTimeout: cmp.Or(t.IO, time.Minute), WriteTimeout: cmp.Or(t.IO, 5*time.Minute),
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	a.serving.Add(1)
	go func() {
		defer a.serving.Done()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("serve http: %w", err)
		}
	}()
	a.onStop(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			server.Close()
		}
	})
	return listener, nil
}

// writeRuntimeInfo tells other programs the addresses, of which a port may have
// been chosen by the system.
func (a *Agent) writeRuntimeInfo() error {
	if a.options.Server.RuntimeInfo == "" {
		return nil
	}
	type address struct {
		Host string `json:"host"`
		Port int    `json:"port"`
	}
	list := func(l net.Listener) []address {
		if l == nil {
			return []address{}
		}
		tcp, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return []address{}
		}
		return []address{{tcp.IP.String(), tcp.Port}}
	}
	text, err := json.Marshal(map[string][]address{
		"local_addresses": list(a.listener), "local_admin_addresses": list(a.admin),
	})
	if err == nil {
		err = atomicfile.Options{NoSync: true}.WriteFile(a.options.Server.RuntimeInfo, text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the runtime information: %w", err)
	}
	return nil
}
