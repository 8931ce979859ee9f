package docker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"
)

// indexServer is the name under which credentials of Docker Hub are kept.
const indexServer = "https://index.docker.io/v1/"

// config is what we read of the configuration of Docker's own program.
type config struct {
	Auths       map[string]authEntry `json:"auths"`
	CredsStore  string               `json:"credsStore"`
	CredHelpers map[string]string    `json:"credHelpers"`
	// CurrentContext names the engine.
	CurrentContext string `json:"currentContext"`

	dir string
	env []string
}

// authEntry is what a login has left.
type authEntry struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

func configDir(env []string) string {
	if dir, _ := look(env, "DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home, _ := look(env, "HOME")
	return filepath.Join(home, ".docker")
}

// readConfig reads the configuration; none is an empty one.
func readConfig(env []string) (*config, error) {
	c := &config{dir: configDir(env), env: env}
	file := filepath.Join(c.dir, "config.json")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(text, c)
	}
	if err != nil {
		return nil, fmt.Errorf("read Docker's configuration %s: %w", file, err)
	}
	return c, nil
}

// readContext reads where the engine of a context is.
func (c *config) readContext(name string, s *clientSettings) error {
	id := contextID(name)
	text, err := os.ReadFile(filepath.Join(c.dir, "contexts", "meta", id, "meta.json"))
	if err != nil {
		return err
	}
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		return err
	}
	s.host = meta.Endpoints["docker"].Host
	if s.host == "" {
		return errors.New("it names no engine")
	}
	certs := filepath.Join(c.dir, "contexts", "tls", id, "docker")
	if _, err := os.Stat(certs); err == nil {
		s.certs = certs
	}
	return nil
}

// contextID is the name of a context's directories.
func contextID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// credentials returns what the registry of an image is given: an encoded header,
// empty where nobody has logged in.
func credentials(ctx context.Context, env []string, image string) (string, error) {
	c, err := readConfig(env)
	if err != nil {
		return "", err
	}
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", fmt.Errorf("image %q: %w", image, err)
	}
	server := reference.Domain(named)
	if server == "docker.io" {
		server = indexServer
	}
	auth, err := c.login(ctx, server)
	if err != nil {
		return "", fmt.Errorf("credentials for %s: %w", server, err)
	}
	if auth == (registry.AuthConfig{}) {
		return "", nil
	}
	auth.ServerAddress = server
	return registry.EncodeAuthConfig(auth)
}

// login finds what was logged in to a registry with: through its helper, else
// the helper for all, else in the file itself.
func (c *config) login(ctx context.Context, server string) (registry.AuthConfig, error) {
	helper, ok := c.CredHelpers[server]
	if !ok {
		helper = c.CredsStore
	}
	if helper != "" {
		return c.ask(ctx, helper, server)
	}
	entry, ok := c.Auths[server]
	for key, other := range c.Auths {
		if !ok && serverName(key) == serverName(server) {
			entry = other
		}
	}
	auth := registry.AuthConfig{
		Username: entry.Username, Password: entry.Password,
		IdentityToken: entry.IdentityToken, RegistryToken: entry.RegistryToken,
	}
	if entry.Auth == "" {
		return auth, nil
	}
	text, err := base64.StdEncoding.DecodeString(entry.Auth)
	name, password, found := strings.Cut(strings.TrimRight(string(text), "\x00"), ":")
	if err != nil || !found {
		return auth, errors.New("the field auth of Docker's configuration is not readable")
	}
	auth.Username, auth.Password = name, password
	return auth, nil
}

// serverName is the name of a registry in the forms that old versions wrote.
func serverName(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	name, _, _ := strings.Cut(key, "/")
	return name
}

// ask runs a credential helper.
func (c *config) ask(ctx context.Context, helper, server string) (registry.AuthConfig, error) {
	program := "docker-credential-" + helper
	cmd := exec.CommandContext(ctx, program, "get")
	cmd.Env = c.env
	cmd.Stdin = strings.NewReader(server)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		said := strings.TrimSpace(string(out) + stderr.String())
		if strings.Contains(said, "credentials not found") {
			return registry.AuthConfig{}, nil
		}
		return registry.AuthConfig{}, fmt.Errorf("%s: %w: %s", program, err, said)
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return registry.AuthConfig{}, fmt.Errorf("%s gave no readable answer", program)
	}
	if answer.Username == "<token>" {
		return registry.AuthConfig{IdentityToken: answer.Secret}, nil
	}
	return registry.AuthConfig{Username: answer.Username, Password: answer.Secret}, nil
}
