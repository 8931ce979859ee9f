package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gitdag/agent/api"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/secret"
)

// openSecrets opens the store of the projects' secrets.
func (a *Agent) openSecrets(c *Config) (*secret.Store, error) {
	key := a.options.Server.SecretKey
	if c.Secrets.KeyFile != "" {
		var warning string
		var err error
		if key, warning, err = secret.LoadKey(c.Secrets.KeyFile); err != nil {
			return nil, err
		}
		if warning != "" {
			a.log.Warn(warning)
		}
	}
	return secret.Open(filepath.Join(c.Data, "secrets"), key)
}

// taskSecrets finds the secrets of a project's tasks: in the store, in the
// directory of secrets, in the environment.
func taskSecrets(store *secret.Store, dir string) func(project uint64) operator.Secrets {
	files, environ := secret.Dir(dir), secret.NewEnviron(os.Environ())
	return func(project uint64) operator.Secrets {
		return secret.NewReader(noSecret, store.Project(project), files, environ)
	}
}

func noSecret(key string) error {
	return &operator.Error{Message: "Secret not found for key: '" + key + "'", Kind: "secret not found"}
}

// projectSecrets is the store as the API sees it.
type projectSecrets struct{ *secret.Store }

// Set keeps a secret.
func (s projectSecrets) Set(project uint64, key, value string) error {
	return secretError(s.Store.Set(project, key, value))
}

// Delete forgets a secret.
func (s projectSecrets) Delete(project uint64, key string) error {
	return secretError(s.Store.Delete(project, key))
}

func secretError(err error) error {
	var invalid *secret.Invalid
	switch {
	case errors.As(err, &invalid):
		return &api.Invalid{Reason: invalid}
	case errors.Is(err, secret.ErrDisabled):
		return fmt.Errorf("%w: secrets.key_file, or Digdag's digdag.secret-encryption-key, names one", api.ErrNoSecretStore)
	}
	return apiError(err)
}

// sweepSecrets forgets the secrets of projects that were deleted and have
// nothing running any more.
func (a *Agent) sweepSecrets() error {
	var last uint64
	needed := map[uint64]bool{}
	a.engine.View(func(s *flow.State) {
		last = s.Last().Project
		for _, p := range s.Projects() {
			needed[p.ID] = true
		}
		for _, attempt := range s.Attempts() {
			needed[attempt.Project] = true
		}
	})
	var errs []error
	for id := uint64(1); id <= last; id++ {
		if !needed[id] {
			errs = append(errs, a.secrets.DeleteProject(id))
		}
	}
	return errors.Join(errs...)
}
