package agent

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"gitdag/agent/api"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/secret"
	"gitdag/engine/secret/agefile"
)

// openSecrets opens the store of the projects' secrets. What cannot be read in
// it concerns its project alone, and is told at once; a key that was replaced is
// of no more use afterwards (Q18).
func (a *Agent) openSecrets(c *Config) (*secret.Store, error) {
	key := a.options.Server.SecretKey
	var err error
	if c.Secrets.KeyFile != "" {
		if key, err = a.loadKey(c.Secrets.KeyFile); err != nil {
			return nil, err
		}
	}
	old := make([]secret.Key, len(c.Secrets.OldKeyFiles))
	for i, file := range c.Secrets.OldKeyFiles {
		if old[i], err = a.loadKey(file); err != nil {
			return nil, err
		}
	}
	store, err := secret.Open(filepath.Join(c.Data, "secrets"), key, old...)
	if err != nil {
		return nil, err
	}
	if len(old) > 0 {
		err = store.Rotate()
	} else {
		err = store.Check()
	}
	switch {
	case err != nil:
		a.log.Error("not all secrets can be read", "err", err)
	case len(old) > 0:
		a.log.Info("all secrets are sealed with the one key now: secrets.old_key_files is not needed any more")
	}
	return store, nil
}

func (a *Agent) loadKey(file string) (secret.Key, error) {
	key, warning, err := secret.LoadKey(file)
	if warning != "" {
		a.log.Warn(warning)
	}
	return key, err
}

// taskSecrets finds the secrets of an attempt's tasks: in the store, in the directory
// of secrets, in the environment, in the file of the revision that runs.
func (a *Agent) taskSecrets(c *Config) func(*flow.AttemptFacts) operator.Secrets {
	files, environ, git := secret.Dir(c.Secrets.Dir), secret.NewEnviron(os.Environ()), agefile.NewCache(a.identities)
	return func(f *flow.AttemptFacts) operator.Secrets {
		return secret.NewReader(noSecret, a.secrets.Project(f.Project), files, environ, git.Project(func() (string, error) {
			return a.spaces.present(f.ID, f.Checkout)
		}))
	}
}

// loadIdentities reads what the secrets in Git are decrypted with.
func (a *Agent) loadIdentities(c *Config) (err error) {
	var warnings []string
	a.identities, warnings, err = agefile.LoadIdentities(c.Secrets.AgeIdentityFiles...)
	for _, w := range warnings {
		a.log.Warn(w)
	}
	return err
}

func noSecret(key string) error {
	return &operator.Error{Message: "Secret not found for key: '" + key + "'", Kind: "secret not found"}
}

// projectSecrets is the store as the API sees it.
type projectSecrets struct{ *secret.Store }

// Keys lists the secrets that a project has.
func (s projectSecrets) Keys(project uint64) ([]string, error) {
	keys, err := s.Store.Keys(project)
	return keys, secretError(err)
}

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
	var other *secret.OtherKey
	switch {
	case errors.As(err, &other):
		return &api.Error{Message: err.Error() + "; secrets.old_key_files takes it", Status: http.StatusNotImplemented}
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
