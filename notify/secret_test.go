package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const canary = "xoxb-canary-4711"

func TestSecretIsNeverShown(t *testing.T) {
	s := NewSecret(canary)
	holder := struct {
		hidden Secret
		Shown  Secret
		ptr    *Secret
	}{s, s, &s}
	encoded, err := json.Marshal(map[string]any{"s": s, "h": holder})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("m", "s", s, "h", holder, "p", &s)
	}
	shown := []string{string(encoded), log.String(), s.String(), fmt.Sprint(s, &s, holder)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, s), fmt.Sprintf(verb, holder), fmt.Sprintf(verb, []Secret{s}))
	}
	for _, text := range shown {
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("the secret is in %q", text)
		}
	}
	if got := fmt.Sprintf("%v %s", s, s); got != "*** ***" {
		t.Errorf("got %q, want stars", got)
	}
	if got := s.Reveal(); got != canary {
		t.Errorf("Reveal: got %q, want %q", got, canary)
	}
	if got := (Secret{}).Reveal(); got != "" {
		t.Errorf("Reveal of the zero value: got %q, want nothing", got)
	}
}

func TestFileIsReadAtEachUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	source := File(path)
	if _, err := source(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: got %v, want an error that names it", err)
	}
	for _, tt := range []struct{ content, want string }{
		{"one\n", "one"}, {"two", "two"}, {"three\r\n", "three"}, {"four\n\n", "four\n"}, {" five ", " five "},
	} {
		write(t, path, tt.content)
		got, err := source()
		if err != nil || got.Reveal() != tt.want {
			t.Errorf("%q: got %q, %v, want %q", tt.content, got.Reveal(), err, tt.want)
		}
	}
	for _, content := range []string{"", "\n", strings.Repeat(canary, maxSecretBytes)} {
		write(t, path, content)
		if _, err := source(); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%.20q: got %v, want an error without the content", content, err)
		}
	}
	if _, err := File(t.TempDir())(); err == nil {
		t.Error("a directory: got no error")
	}
	if got, err := Literal("six\n")(); err != nil || got.Reveal() != "six\n" {
		t.Errorf("literal: got %q, %v", got.Reveal(), err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
