package secret_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gitdag/engine/secret"
)

const plain = "hunter2"

// holders hold a text in every way that a program may print by accident.
func holders() map[string]any {
	text := secret.NewText(plain)
	return map[string]any{
		"text": text, "pointer": &text, "list": []secret.Text{text}, "map": map[string]secret.Text{"k": text},
		"key of a map": map[secret.Text]int{text: 1}, "field": struct{ T secret.Text }{text}, "unexported": struct{ t secret.Text }{text},
		"any": []any{text}, "error": fmt.Errorf("wrap %v %s %q", text, text, text),
		"environment": secret.NewEnviron([]string{"GITDAG_SECRET_K=" + plain}),
	}
}

// shows tells whether a text has the secret, or its bytes as numbers.
func shows(text string) bool {
	return strings.Contains(text, plain) || strings.Contains(text, fmt.Sprintf("%x", plain)) || strings.Contains(text, fmt.Sprintf("%X", plain)) ||
		strings.Contains(text, strings.Trim(fmt.Sprint([]byte(plain)), "[]"))
}

func TestTextDoesNotPrint(t *testing.T) {
	for name, v := range holders() {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%t", "%10.3s"} {
			if got := fmt.Sprintf(verb, v); shows(got) {
				t.Errorf("%s with %s: got %s", name, verb, got)
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "k", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "k", v)
		if shows(log.String()) {
			t.Errorf("%s in a log: got %s", name, log.String())
		}
		if got, err := json.Marshal(v); err == nil && shows(string(got)) {
			t.Errorf("%s as JSON: got %s", name, got)
		}
	}
}

func TestTextShowsThatItIsHidden(t *testing.T) {
	text := secret.NewText(plain)
	asJSON, err := json.Marshal(map[string]any{"t": text, "p": &text})
	if err != nil {
		t.Fatal(err)
	}
	var marshaler encoding.TextMarshaler = text // YAML and the like
	asText, err := marshaler.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "k", text)
	for got, want := range map[string]string{
		text.String(): "***", fmt.Sprintf("%v %s %q %x", text, text, text, &text): "*** *** *** ***",
		string(asJSON): `{"p":"***","t":"***"}`, string(asText): "***", log.String()[strings.Index(log.String(), "k="):]: "k=***\n",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := text.Reveal(); got != plain {
		t.Errorf("revealed: got %q, want %q", got, plain)
	}
	if got := (secret.Text{}).Reveal(); got != "" {
		t.Errorf("the zero text: got %q, want an empty one", got)
	}
}
