package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"gitdag/engine/local"
	"gitdag/engine/secret"
)

// secretInput reads the arguments of --set.
type secretInput struct {
	cli    *cli
	values map[string]string
	stdin  bool // has been read
}

// take reads an argument.
func (in *secretInput) take(ctx context.Context, arg string) error {
	if arg == "-" {
		arg = "@-"
	}
	if file, ok := strings.CutPrefix(arg, "@"); ok {
		text, err := in.read(file)
		if err != nil {
			return err
		}
		return in.takeAll(file, text)
	}
	key, value, given := strings.Cut(arg, "=")
	if err := in.check(key); err != nil {
		return err
	}
	var err error
	switch {
	case !given:
		value, err = in.cli.prompt(ctx, key)
	case value == "-":
		value, err = in.read("-")
	case strings.HasPrefix(value, "@"):
		value, err = in.read(value[1:])
	}
	if err != nil {
		return err
	}
	return in.put(key, value)
}

// check refuses a key that is none, or that has been given already.
func (in *secretInput) check(key string) error {
	if err := secret.CheckKey(key); err != nil {
		return &usageError{err}
	}
	if _, twice := in.values[key]; twice {
		return usagef("secret %s is given twice", key)
	}
	return nil
}

func (in *secretInput) put(key, value string) error {
	if err := secret.CheckValue(key, value); err != nil {
		return err
	}
	in.values[key] = value
	return nil
}

// read reads a file, or standard input for "-". Nothing is cut off: the value
// of a secret is raw.
func (in *secretInput) read(file string) (string, error) {
	from := in.cli.stdin
	if file == "-" {
		if in.stdin {
			return "", usagef("standard input can be read once only")
		}
		in.stdin = true
	} else {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("read secrets: %w", err)
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, 16<<20))
	if err != nil {
		return "", fmt.Errorf("read secrets from %s: %w", file, err)
	}
	return string(text), nil
}

// takeAll reads a mapping of keys.
func (in *secretInput) takeAll(file, text string) error {
	list, err := local.ParseSecrets([]byte(text))
	if err != nil {
		return fmt.Errorf("read secrets from %s: %w", file, err)
	}
	for _, s := range list {
		if err := in.check(s.Key); err != nil {
			return err
		}
		if err := in.put(s.Key, s.Value); err != nil {
			return err
		}
	}
	return nil
}

// prompt asks for a value on the terminal and does not show it.
func (c *cli) prompt(ctx context.Context, key string) (string, error) {
	f, ok := c.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", usagef("there is no terminal to ask for the value of %s: give %s=- to read it from standard input, or %s=@FILE", key, key, key)
	}
	fd := int(f.Fd())
	fmt.Fprintf(c.stderr, "%s: ", key)
	defer fmt.Fprintln(c.stderr)
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask for secret %s: %w", key, err)
	}
	type answer struct {
		text []byte
		err  error
	}
	// An interrupt does not end the read: the process does, soon after.
	answers := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return "", fmt.Errorf("ask for secret %s: %w", key, a.err)
		}
		return string(a.text), nil
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return "", &exitError{130}
	}
}
