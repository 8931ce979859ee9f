package operator

import (
	"context"
	"strings"

	"gitdag/engine/params"
)

// lookUp answers for one secret key.
type lookUp func(ctx context.Context, key string) (string, error)

// remapped returns the look-up of an operator's own secrets, in which
// `_secrets` renames keys (operators.md 3.5). `_env` does not use it.
func remapped(t *Task) (lookUp, error) {
	names, err := params.Optional(t.Config, "_secrets", params.Object, nil)
	if err != nil || names.Len() == 0 {
		return t.Secrets.Secret, err
	}
	return func(ctx context.Context, key string) (string, error) {
		key, err := remap(names, key)
		if err != nil {
			return "", err
		}
		return t.Secrets.Secret(ctx, key)
	}, nil
}

// remap replaces the part of key that leads to a text in names by that text.
func remap(names *params.Map, key string) (string, error) {
	rest := key
	for names != nil {
		segment, after, more := strings.Cut(rest, ".")
		value, ok := names.Lookup(segment)
		if !ok || value == true { // true is a grant of old, without effect
			return key, nil
		}
		if text, ok := params.Text(value); ok {
			if more {
				text += "." + after
			}
			return text, nil
		}
		if names, ok = value.(*params.Map); !ok {
			return "", configError("Invalid _secrets entry for key '%s': %s", key, sample(value))
		}
		if !more {
			return key, nil
		}
		rest = after
	}
	return key, nil
}

// fillIn replaces every `${secret:key}` of text. found tells whether there was
// one, so that the result must be kept from other eyes. Anything else that has
// the form `${word:rest}`, even across lines, is an error (operators.md 3.3).
// The values are not looked at again.
func fillIn(ctx context.Context, text string, secret lookUp) (filled string, found bool, err error) {
	var b strings.Builder
	for {
		start := strings.Index(text, "${")
		if start < 0 {
			break
		}
		word, rest, colon := strings.Cut(text[start+2:], ":")
		key, after, brace := strings.Cut(rest, "}")
		if !colon || !brace {
			break // nor can a later one be complete
		}
		if strings.TrimSpace(word) != "secret" {
			return "", false, configError("invalid parametrization: %s",
				sample(text[start:len(text)-len(after)]))
		}
		value, err := secret(ctx, strings.TrimSpace(key))
		if err != nil {
			return "", false, err
		}
		b.WriteString(text[:start])
		b.WriteString(value)
		text, found = after, true
	}
	if !found {
		return text, false, nil
	}
	b.WriteString(text)
	return b.String(), true, nil
}
