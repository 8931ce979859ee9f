package docker

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker/docker/api/types/registry"
	"github.com/google/go-cmp/cmp"
)

// configured returns an environment with a configuration of Docker's own program,
// and with credential helpers on PATH.
func configured(t *testing.T, config string) []string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.json": config,
		"docker-credential-known": `#!/bin/sh
read -r server
printf '{"ServerURL":"%s","Username":"of %s","Secret":"s"}' "$server" "$server"
`,
		"docker-credential-token":  "#!/bin/sh\necho '{\"Username\":\"<token>\",\"Secret\":\"t\"}'\n",
		"docker-credential-empty":  "#!/bin/sh\necho credentials not found in native keychain; exit 1\n",
		"docker-credential-broken": "#!/bin/sh\necho the keychain is locked >&2; exit 1\n",
		"docker-credential-odd":    "#!/bin/sh\necho odd\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return []string{"DOCKER_CONFIG=" + dir, "PATH=" + os.Getenv("PATH")}
}

func TestCredentials(t *testing.T) {
	auth := base64.StdEncoding.EncodeToString([]byte("me:pass:word"))
	env := configured(t, `{
		"auths": {
			"https://index.docker.io/v1/": {"auth": "`+auth+`"},
			"plain.example.com:5000": {"username": "u", "password": "p"},
			"https://old.example.com/v1/": {"identitytoken": "i"},
			"broken.example.com": {"auth": "%"}
		},
		"credHelpers": {"helped.example.com": "known", "token.example.com": "token", "empty.example.com": "empty", "locked.example.com": "broken", "odd.example.com": "odd", "none.example.com": "nosuch"}
	}`)
	for image, want := range map[string]registry.AuthConfig{
		"alpine":                                {Username: "me", Password: "pass:word", ServerAddress: indexServer},
		"docker.io/team/tool:1":                 {Username: "me", Password: "pass:word", ServerAddress: indexServer},
		"plain.example.com:5000/tool":           {Username: "u", Password: "p", ServerAddress: "plain.example.com:5000"},
		"old.example.com/tool@sha256:" + digest: {IdentityToken: "i", ServerAddress: "old.example.com"},
		"helped.example.com/tool":               {Username: "of helped.example.com", Password: "s", ServerAddress: "helped.example.com"},
		"token.example.com/tool":                {IdentityToken: "t", ServerAddress: "token.example.com"},
		"empty.example.com/tool":                {},
		"unknown.example.com/tool":              {},
	} {
		header, err := credentials(t.Context(), env, image)
		if err != nil {
			t.Errorf("%s: %v", image, err)
			continue
		}
		got, err := registry.DecodeAuthConfig(header)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", image, diff)
		}
	}
	for image, want := range map[string]string{
		"broken.example.com/tool": "the field auth",
		"locked.example.com/tool": "docker-credential-broken: exit status 1: the keychain is locked",
		"odd.example.com/tool":    "docker-credential-odd gave no readable answer",
		"none.example.com/tool":   "docker-credential-nosuch",
		"Not An Image":            "Not An Image",
	} {
		_, err := credentials(t.Context(), env, image)
		if err == nil {
			t.Errorf("%s: got no error", image)
			continue
		}
		contain(t, image, err.Error(), want)
	}
}

const digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestCredentialsOfOneStore(t *testing.T) {
	env := configured(t, `{"auths": {"a.example.com": {}}, "credsStore": "known"}`)
	header, err := credentials(t.Context(), env, "a.example.com/x")
	if err != nil {
		t.Fatal(err)
	}
	got, err := registry.DecodeAuthConfig(header)
	if err != nil || got.Username != "of a.example.com" {
		t.Errorf("got %+v, %v; want the store's answer", got, err)
	}
	env = configured(t, "{")
	if _, err := credentials(t.Context(), env, "alpine"); err == nil {
		t.Error("a configuration that is none: got no error")
	}
}

// TestWhereTheEngineIs: the variable comes before the context, that before the
// usual socket.
func TestWhereTheEngineIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("config.json", `{"currentContext": "far"}`)
	id := contextID("far")
	write("contexts/meta/"+id+"/meta.json", `{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far.example.com:2376"}}}`)
	write("contexts/tls/"+id+"/docker/ca.pem", "")
	write("contexts/meta/"+contextID("shell")+"/meta.json", `{"Endpoints":{"docker":{"Host":"ssh://me@far"}}}`)
	write("contexts/meta/"+contextID("empty")+"/meta.json", `{}`)
	write("contexts/meta/"+contextID("odd")+"/meta.json", `{`)
	config := "DOCKER_CONFIG=" + dir
	for _, tt := range []struct {
		env  []string
		want clientSettings
		err  string
	}{
		{[]string{"HOME=/none"}, clientSettings{host: "unix:///var/run/docker.sock"}, ""},
		{[]string{config}, clientSettings{host: "tcp://far.example.com:2376", certs: filepath.Join(dir, "contexts/tls", id, "docker")}, ""},
		{[]string{config, "DOCKER_CONTEXT=default"}, clientSettings{host: "unix:///var/run/docker.sock"}, ""},
		{[]string{config, "DOCKER_HOST=unix:///a", "DOCKER_API_VERSION=1.41"}, clientSettings{host: "unix:///a", version: "1.41"}, ""},
		{[]string{config, "DOCKER_HOST=tcp://a:1", "DOCKER_TLS_VERIFY=1"}, clientSettings{host: "tcp://a:1", certs: dir}, ""},
		{[]string{config, "DOCKER_HOST=tcp://a:1", "DOCKER_CERT_PATH=/c"}, clientSettings{host: "tcp://a:1", certs: "/c"}, ""},
		{[]string{config, "DOCKER_CONTEXT=shell"}, clientSettings{}, "docker: {docker: docker}"},
		{[]string{config, "DOCKER_CONTEXT=empty"}, clientSettings{}, "names no engine"},
		{[]string{config, "DOCKER_CONTEXT=odd"}, clientSettings{}, `context "odd"`},
		{[]string{config, "DOCKER_CONTEXT=none"}, clientSettings{}, `context "none"`},
	} {
		got, err := findClientSettings(tt.env)
		if tt.err != "" {
			if err == nil {
				t.Errorf("%v: got no error", tt.env)
				continue
			}
			contain(t, tt.env[len(tt.env)-1], err.Error(), tt.err)
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%v: got %+v, %v; want %+v", tt.env, got, err, tt.want)
		}
	}
}
