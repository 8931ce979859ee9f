package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// hidden is what is shown in place of a secret.
const hidden = "***"

// Text is a text that prints as ***, with every verb and encoding, also from
// within other values. The zero value is empty.
type Text struct {
	// A pointer, as fmt reads unexported fields of others without asking them.
	value *string
}

// NewText hides a text.
func NewText(value string) Text { return Text{&value} }

// Reveal returns the text itself.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// String returns ***.
func (Text) String() string { return hidden }

// Format writes ***, whatever the verb.
func (Text) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

// MarshalText returns ***, for JSON, YAML and the like.
func (Text) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue returns ***.
func (Text) LogValue() slog.Value { return slog.StringValue(hidden) }
