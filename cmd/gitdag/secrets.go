package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gitdag/engine/local"
)

// secretsOptions are the command line of `secrets`.
type secretsOptions struct {
	commonOptions
	local       bool
	set, delete []string
}

// secretsCommand keeps the secrets of local runs (language.md 9.5).
func (c *cli) secretsCommand() *cobra.Command {
	var o secretsOptions
	cmd := &cobra.Command{
		Use:     "secrets --local [--set ARG... | --delete KEY...]",
		Aliases: []string{"secret"},
		Short:   "Lists, sets and deletes the secrets of this machine",
		Long: "Lists, sets and deletes the secrets that run and scheduler find on this machine.\n\n" +
			"What --set takes:\n" +
			"  KEY        asks for the value and does not show it\n" +
			"  KEY=VALUE  the value itself; other users of this machine may see it\n" +
			"  KEY=@FILE  the content of a file\n" +
			"  KEY=-      the content of standard input\n" +
			"  @FILE      keys and values, as YAML or JSON, in a file\n" +
			"  - or @-    the same on standard input",
		Example: "  gitdag secrets --local\n" +
			"  gitdag secrets --local --set pg.password aws.key=@key.txt\n" +
			"  gitdag secrets --local --delete pg.password",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			store, err := c.secretFiles()
			if err != nil {
				return err
			}
			switch {
			case len(o.set) > 0:
				return c.setSecrets(cmd.Context(), store, o.set)
			case len(o.delete) > 0:
				return c.deleteSecrets(store, o.delete)
			}
			return c.listSecrets(store)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.local, "local", false, "the secrets of this machine")
	f.StringArrayVar(&o.set, "set", nil, "set secrets: `ARG` as above, and any number after it")
	f.StringArrayVar(&o.delete, "delete", nil, "delete the secret `KEY`, and any number after it")
	o.add(f)
	return cmd
}

// complete gives the arguments to the option that they follow.
func (o *secretsOptions) complete(cmd *cobra.Command, args []string) error {
	set, deleted := cmd.Flags().Changed("set"), cmd.Flags().Changed("delete")
	switch {
	case !o.local:
		return usagef("--local is missing: what is listed, set and deleted here are the secrets of this machine")
	case set && deleted:
		return usagef("--set and --delete cannot both be given")
	case set:
		o.set = append(o.set, args...)
	case deleted:
		o.delete = append(o.delete, args...)
	case len(args) > 0:
		return usagef("%q follows neither --set nor --delete", args[0])
	}
	return nil
}

func (c *cli) listSecrets(store secretFiles) error {
	keys, err := store.keys()
	for _, key := range keys {
		fmt.Fprintln(c.stdout, key)
	}
	return err
}

func (c *cli) deleteSecrets(store secretFiles, keys []string) error {
	for _, key := range keys {
		if !local.IsSecretKey(key) {
			return usagef("%q is no key of a secret", key)
		}
	}
	for _, key := range keys {
		if err := store.delete(key); err != nil {
			return err
		}
		fmt.Fprintf(c.stderr, "Secret '%s' deleted\n", key)
	}
	return nil
}

// setSecrets sets all of the secrets or, if an argument is wrong, none.
func (c *cli) setSecrets(ctx context.Context, store secretFiles, args []string) error {
	in := secretInput{cli: c, values: map[string]string{}}
	for _, arg := range args {
		if err := in.take(ctx, arg); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(in.values)) {
		if err := store.set(key, in.values[key]); err != nil {
			return err
		}
		fmt.Fprintf(c.stderr, "Secret '%s' set\n", key)
	}
	return nil
}

// maxSecret is how long the value of a secret may be, in bytes.
const maxSecret = 16 << 10

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
	if !local.IsSecretKey(key) {
		return usagef("%q is no key of a secret: it consists of words between dots, which begin with a letter and end in a letter or a digit", key)
	}
	if _, twice := in.values[key]; twice {
		return usagef("secret %s is given twice", key)
	}
	return nil
}

func (in *secretInput) put(key, value string) error {
	if len(value) > maxSecret {
		return fmt.Errorf("the value of secret %s has %d bytes; %d are allowed", key, len(value), maxSecret)
	}
	if !utf8.ValidString(value) {
		return fmt.Errorf("the value of secret %s is no UTF-8 text", key)
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

// secretFiles returns the directories of local secrets.
func (c *cli) secretFiles() (secretFiles, error) {
	dirs := c.secrets(nil).Dirs
	if len(dirs) == 0 {
		return secretFiles{}, errors.New("there is no home directory to keep secrets in; GITDAG_CONFIG_HOME can name one")
	}
	return secretFiles{own: dirs[0], others: dirs[1:]}, nil
}

// missingSecret tells whether an error is that there is no such file.
func missingSecret(err error) bool { return errors.Is(err, fs.ErrNotExist) }
