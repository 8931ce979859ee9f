package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gitdag/engine/operator"
	"gitdag/engine/operator/param"
)

// withParams adds `param_set>` and `param_get>` to the types of tasks. Their
// values lie where the options or the configuration say, else in the data
// directory, or with a project that runs in its own directory.
func (a *Agent) withParams(c *Config, types *operator.Registry) (*operator.Registry, error) {
	server := a.options.ParamServer
	if c.ParamServer != (ParamServer{}) {
		server = c.ParamServer.server()
		if file := c.ParamServer.PasswordFile; file != "" {
			password, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read the password of the param_server: %w", err)
			}
			server.Password = strings.TrimRight(string(password), "\r\n")
		}
	}
	if d := a.options.Directory; d != nil {
		return types.With(param.Operators(server, param.Local(d.Dir))), nil
	}
	dir := filepath.Join(c.Data, "params")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of values: %w", err)
	}
	return types.With(param.Operators(server, dir)), nil
}

// server is the server without its password.
func (s ParamServer) server() param.Server {
	return param.Server{Type: s.Type, Host: s.Host, Port: s.Port, User: s.User, Database: s.Database, SSL: s.SSL}
}
