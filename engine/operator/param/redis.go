package param

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"gitdag/engine/params"
)

// remote keeps values on a Redis server, which a Digdag server may share. Each task has a
// connection of its own.
type remote struct{ server Server }

func newRemote(s Server) *remote {
	logging.Disable() // what the client would write to standard error it returns as well
	return &remote{s}
}

func (r *remote) set(ctx context.Context, values map[string]string) error {
	return r.session(ctx, func(c *redis.Client) error {
		_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
			for key, text := range values {
				value := params.Of("value", params.Of("value", text), "value_type", textual)
				p.SetEx(ctx, remoteKey(key), params.AppendJSON(nil, value), keep)
			}
			return nil
		})
		return err
	})
}

func (r *remote) get(ctx context.Context, keys []string) (map[string]string, error) {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = remoteKey(key)
	}
	found := map[string]string{}
	err := r.session(ctx, func(c *redis.Client) error {
		values, err := c.MGet(ctx, names...).Result()
		if err != nil {
			return err
		}
		for i, v := range values {
			text, ok := v.(string)
			if !ok {
				continue
			}
			if found[keys[i]], err = unwrap([]byte(text), 2); err != nil {
				return fmt.Errorf("the value of %q: %w", names[i], err)
			}
		}
		return nil
	})
	return found, err
}

func remoteKey(key string) string { return strconv.Itoa(site) + ":" + key }

// session connects, runs f and disconnects. The client looks at the deadline of a context
// only, so its end closes the connection.
func (r *remote) session(ctx context.Context, f func(*redis.Client) error) error {
	s := r.server
	address := net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	options := &redis.Options{
		Addr: address, Username: s.User, Password: s.Password,
		DialTimeout: s.Connect, ReadTimeout: s.Silence, WriteTimeout: s.Silence, ContextTimeoutEnabled: true,
		// A task that fails is repeated by its `_retry`.
		MaxRetries: -1, DialerRetries: 1, PoolSize: 1,
		// What any Redis understands.
		Protocol: 2, DisableIdentity: true, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if s.SSL {
		options.TLSConfig = &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}
	}
	c := redis.NewClient(options)
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := f(c); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("redis at %s: %w", address, err)
	}
	return nil
}
