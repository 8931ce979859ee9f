package secret_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitdag/engine/secret"
)

// newKey makes a key of n bytes that the seed tells apart.
func newKey(t testing.TB, seed byte, n int) secret.Key {
	t.Helper()
	raw := make([]byte, n)
	for i := range raw {
		raw[i] = seed + byte(i)
	}
	k, err := secret.ParseKey([]byte(base64.StdEncoding.EncodeToString(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const good = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func TestParseKey(t *testing.T) {
	for name, text := range map[string]string{
		"32 bytes": good, "newline": good + "\n", "CRLF": good + "\r\n", "16 bytes": "AAECAwQFBgcICQoLDA0ODw==",
	} {
		if k, err := secret.ParseKey([]byte(text)); err != nil || k.IsZero() || len(k.ID()) != 16 {
			t.Errorf("%s: got %v, %v, want a key", name, k, err)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "newline": "\n", "raw 16 bytes": "0123456789abcdef", "raw 32 bytes": strings.Repeat("hunter2!", 4), "24 bytes": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
		"two newlines": good + "\n\n", "inner newline": good[:20] + "\n" + good[20:], "space": " " + good, "no padding": strings.TrimRight(good, "="),
		"loose bits": strings.Replace(good, "h8=", "h9=", 1), "URL alphabet": strings.Repeat("_", 42) + "8=", "hex": strings.Repeat("0a", 16),
		"two keys": good + "\n" + good, "no base64": strings.Repeat("?", 44),
	} {
		k, err := secret.ParseKey([]byte(text))
		if err == nil || !k.IsZero() || !strings.Contains(err.Error(), "head -c 32 /dev/urandom | base64") || len(text) > 6 && strings.Contains(err.Error(), text[:7]) {
			t.Errorf("%s: got %v, %v, want an error that tells how to make a key", name, k, err)
		}
	}
}

// An id tells keys apart, and keys of both lengths.
func TestKeysHaveIDs(t *testing.T) {
	ids := map[string]bool{}
	for _, k := range []secret.Key{newKey(t, 1, 16), newKey(t, 1, 32), newKey(t, 2, 16), newKey(t, 2, 32)} {
		ids[k.ID()] = true
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			if got, want := fmt.Sprintf(verb, k), "key "+k.ID(); got != want {
				t.Errorf("%s: got %q, want %q", verb, got, want)
			}
		}
	}
	if len(ids) != 4 {
		t.Errorf("got ids %v, want four", ids)
	}
	if again := newKey(t, 1, 32); !ids[again.ID()] {
		t.Errorf("read again: got %v, want one of %v", again, ids)
	}
}

func TestLoadKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret.key")
	if err := os.WriteFile(file, []byte(good+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode   os.FileMode
		warned bool
	}{{0o600, false}, {0o400, false}, {0o640, false}, {0o644, true}, {0o602, true}} {
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		k, warning, err := secret.LoadKey(file)
		if err != nil || k.IsZero() || (warning != "") != c.warned || c.warned && !strings.Contains(warning, file) {
			t.Errorf("mode %o: got %v, %q, %v, want a key and warned %v", c.mode, k, warning, err, c.warned)
		}
	}
	for name, content := range map[string]string{"raw": strings.Repeat("hunter2!", 4), "huge": strings.Repeat("A", 1<<16)} {
		bad := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(bad, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := secret.LoadKey(bad); err == nil || !strings.Contains(err.Error(), bad) || strings.Contains(err.Error(), content[:8]) {
			t.Errorf("%s: got %v, want an error that names the file and not what is in it", name, err)
		}
	}
	for _, none := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		if _, _, err := secret.LoadKey(none); err == nil || !strings.Contains(err.Error(), none) {
			t.Errorf("got %v, want an error that names %s", err, none)
		}
	}
}
