package main

import (
	"os"
	"path/filepath"
	"strings"

	"gitdag/engine/local"
	"gitdag/engine/secret"
	"gitdag/engine/secret/agefile"
)

// taskSecrets returns what the tasks of a project on this machine find: the local
// secrets, those in the environment, and those in its own file.
func (c *cli) taskSecrets(config properties, dir string) (local.Secrets, error) {
	s := c.secrets(config)
	identities, err := c.identities(nil)
	if err != nil {
		return s, err
	}
	git := agefile.NewCache(identities).Project(func() (string, error) { return dir, nil })
	s.Others = []secret.Source{secret.NewEnviron(c.environ()), git}
	return s, nil
}

// identitiesVariable names the files that secrets in Git are decrypted with, as for
// an agent.
const identitiesVariable = "GITDAG_SECRETS_AGE_IDENTITY_FILES"

// identities reads what secrets in Git are decrypted with: the files that are given,
// else those that the environment names, else age.txt of the configuration.
func (c *cli) identities(files []string) (agefile.Identities, error) {
	if named := c.getenv(identitiesVariable); len(files) == 0 && named != "" {
		files = strings.Split(named, ",")
	}
	if dirs := c.configDirs(); len(files) == 0 && len(dirs) > 0 {
		file := filepath.Join(dirs[0], "age.txt")
		if _, err := os.Stat(file); err == nil {
			files = []string{file}
		}
	}
	identities, warnings, err := agefile.LoadIdentities(files...)
	for _, w := range warnings {
		c.warn("%s", w)
	}
	return identities, err
}
