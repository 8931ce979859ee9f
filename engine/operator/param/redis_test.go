package param_test

import (
	"strings"
	"testing"
	"time"

	"gitdag/engine/operator/param"
)

// What is written is what Digdag writes, in one transaction.
func TestRedisForm(t *testing.T) {
	o := operators(param.Operators(cache.server(t), ""))
	c := cache.client()
	defer c.Close()
	if err := c.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	o.run(t, "param_set>", nil, "a", "é\"\n", "b", 1)
	for key, want := range map[string]string{
		"0:a": `{"value":{"value":"é\"\n"},"value_type":0}`, "0:b": `{"value":{"value":"1"},"value_type":0}`,
	} {
		if got, err := c.Get(t.Context(), key).Result(); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", key, got, err, want)
		}
		if got := c.TTL(t.Context(), key).Val(); got > 90*24*time.Hour || got < 90*24*time.Hour-time.Minute {
			t.Errorf("%s: goes in %s, want 90 days", key, got)
		}
	}
	stats := c.Info(t.Context(), "commandstats").Val()
	for _, command := range []string{"multi:calls=1,", "setex:calls=2,", "exec:calls=1,"} {
		if !strings.Contains(stats, "cmdstat_"+command) {
			t.Errorf("no %s in\n%s", command, stats)
		}
	}
}

// What a Digdag has written is read, but for another site's.
func TestRedisSharedWithDigdag(t *testing.T) {
	o := operators(param.Operators(cache.server(t), ""))
	c := cache.client()
	defer c.Close()
	for key, value := range map[string]string{
		"0:a": `{"value": {"value": "x"}, "value_type": 0}`, "1:b": `{"value":{"value":"x"},"value_type":0}`,
		"0:broken": `{"value":"x"}`, "0:worse": "x",
	} {
		if err := c.Set(t.Context(), key, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.RPush(t.Context(), "0:list", "x").Err(); err != nil {
		t.Fatal(err)
	}
	if got := o.run(t, "param_get>", nil, "a", "a", "b", "b", "list", "c"); got != `{"a":"x","b":"","c":""}` {
		t.Errorf("got %s", got)
	}
	for _, key := range []string{"broken", "worse"} {
		if _, err := o.try(t.Context(), task(t, "param_get>", nil, key, "x")); err == nil || !strings.Contains(err.Error(), `the value of "0:`+key+`"`) {
			t.Errorf("%s: got %v", key, err)
		}
	}
}

func TestRedisConnections(t *testing.T) {
	s := cache.server(t)
	plain := operators(param.Operators(s, ""))
	plain.run(t, "param_set>", nil, "a", "x")
	s.SSL, s.Port = true, cache.tlsPort
	if got := operators(param.Operators(s, "")).run(t, "param_get>", nil, "a", "a"); got != `{"a":"x"}` {
		t.Errorf("with TLS: got %s", got)
	}
	s.Host = "localhost" // which the certificate does not name
	if _, err := operators(param.Operators(s, "")).try(t.Context(), task(t, "param_get>", nil, "a", "a")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with a certificate of another host: got %v", err)
	}
	s = cache.server(t)
	for _, wrong := range []string{"", "wrong"} {
		s.Password = wrong
		_, err := operators(param.Operators(s, "")).try(t.Context(), task(t, "param_set>", nil, "a", "x"))
		if err == nil || !strings.Contains(err.Error(), "set 1 values: redis at 127.0.0.1:") || wrong != "" && strings.Contains(err.Error(), wrong+" ") {
			t.Errorf("with the password %q: got %v", wrong, err)
		}
	}
	c := cache.client()
	defer c.Close()
	clients := strings.Split(strings.TrimSpace(c.ClientList(t.Context()).Val()), "\n")
	if len(clients) != 1 {
		t.Errorf("got %d connections, want that of the test alone", len(clients))
	}
}
