package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var paramFlows = map[string]string{
	"set.dig": "+a:\n  param_set>:\n  k: 'it''s <kept>'\n",
	"get.dig": "+a:\n  param_get>:\n  k: found\n+b:\n  sh>: 'test \"$found\" = \"it''s <kept>\"'\n",
}

// Without a server values are kept in the data directory (values without a server).
func TestParamsOutliveTheAgent(t *testing.T) {
	r := newRig(t)
	r.start()
	r.push("params", paramFlows)
	if r.run("get") {
		t.Error("a value was found before it was set")
	}
	if !r.run("set") {
		t.Fatal("not set")
	}
	r.stop()
	r.start()
	if !r.run("get") {
		t.Error("the value is gone")
	}
	if _, err := os.Stat(filepath.Join(r.config.Data, "params", "values.json")); err != nil {
		t.Error(err)
	}
}

func TestParamServer(t *testing.T) {
	r := newRig(t)
	password := filepath.Join(t.TempDir(), "password")
	r.config.ParamServer = ParamServer{Type: "redis", Host: "127.0.0.1", Port: 1, PasswordFile: password}
	if err := r.tryStart(); err == nil || !strings.Contains(err.Error(), "read the password of the param_server: ") {
		t.Errorf("got %v, want that the password is missing", err)
	}
	if err := os.WriteFile(password, []byte("p\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.push("params", map[string]string{
		"set.dig": "_error: {echo>: '${error.message}'}\n+a:\n  param_set>:\n  k: v\n",
	})
	if r.run("set") {
		t.Error("a value was set where there is no server")
	}
	next := r.config
	next.ParamServer.Port = 2
	if !r.config.needsRestart(&next) {
		t.Error("another server is taken for the same")
	}
	r.config.ParamServer.Type = "mysql"
	if _, err := New(Options{Config: r.config}); err == nil || err.Error() != `configuration: param_server: type is postgresql or redis, not "mysql"` &&
		err.Error() != `param_server: type is postgresql or redis, not "mysql"` {
		t.Errorf("got %v", err)
	}
}
