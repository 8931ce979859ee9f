package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"gitdag/engine/local"
	"gitdag/engine/secret"
	"gitdag/engine/secret/agefile"
	"gitdag/internal/atomicfile"
)

// ageOptions are the command line of what changes secrets in Git.
type ageOptions struct {
	file                   string
	recipients, identities []string
}

func (o *ageOptions) add(cmd *cobra.Command, identities bool) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.file, "file", "f", agefile.Name, "the `FILE` of the project's secrets")
	f.StringArrayVarP(&o.recipients, "recipient", "r", nil, "who can decrypt them, age1…, from now on; may be repeated")
	if identities {
		f.StringArrayVarP(&o.identities, "identity", "i", nil, "the `FILE` with what they are decrypted with; may be repeated (default: "+identitiesVariable+", else age.txt beside the configuration)")
	}
}

// read reads the file; nil if there is none.
func (o *ageOptions) read() (*agefile.File, error) {
	data, err := os.ReadFile(o.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read secrets: %w", err)
	}
	f, err := agefile.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read secrets from %s: %w", o.file, err)
	}
	return f, nil
}

// must is read for a file that has to be there.
func (o *ageOptions) must() (*agefile.File, error) {
	f, err := o.read()
	if err == nil && f == nil {
		err = &advised{fmt.Errorf("there is no %s", o.file), "gitdag secrets encrypt --recipient age1… KEY makes one"}
	}
	return f, err
}

func (o *ageOptions) write(f *agefile.File) error {
	data, err := f.Bytes()
	if err == nil {
		err = atomicfile.WriteFile(o.file, data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write secrets: %w", err)
	}
	return nil
}

// ageCommands change the secrets of a project that lie in Git (agent.md 7).
func (c *cli) ageCommands() []*cobra.Command {
	return []*cobra.Command{c.encryptCommand(), c.editCommand(), c.rotateCommand()}
}

func (c *cli) encryptCommand() *cobra.Command {
	var o ageOptions
	cmd := &cobra.Command{
		Use:   "encrypt ARG...",
		Short: "Encrypts secrets into " + agefile.Name + ", to be committed with a project",
		Long: "Encrypts values with age, each by itself, into " + agefile.Name + " of the current directory,\n" +
			"which is made if it is not there. That needs the recipients only, which stand in the file.\n" +
			"ARG is one of the forms that --set of gitdag secrets takes: KEY, KEY=VALUE, KEY=@FILE, …",
		Example: "  gitdag secrets encrypt --recipient age1… pg.password\n" +
			"  gitdag secrets encrypt aws.key=@key.txt",
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return c.encrypt(cmd.Context(), &o, args) },
	}
	o.add(cmd, false)
	return cmd
}

func (c *cli) encrypt(ctx context.Context, o *ageOptions, args []string) error {
	f, err := o.read()
	switch {
	case err != nil:
		return err
	case f == nil && len(o.recipients) == 0:
		return usagef("there is no %s yet: --recipient says who can decrypt it", o.file)
	case f == nil:
		f, err = agefile.New(o.recipients)
	case len(o.recipients) > 0 && !slices.Equal(o.recipients, f.Recipients()):
		return usagef("%s has recipients: `gitdag secrets rotate` gives it others", o.file)
	}
	if err != nil {
		return &usageError{err}
	}
	in := secretInput{cli: c, values: map[string]string{}}
	for _, arg := range args {
		if err := in.take(ctx, arg); err != nil {
			return err
		}
	}
	keys := slices.Sorted(maps.Keys(in.values))
	for _, key := range keys {
		if err := f.Seal(key, in.values[key]); err != nil {
			return err
		}
	}
	if err := o.write(f); err != nil {
		return err
	}
	for _, key := range keys {
		fmt.Fprintf(c.stderr, "Secret '%s' encrypted\n", key)
		c.warnOfShort(key, in.values[key])
	}
	return nil
}

func (c *cli) rotateCommand() *cobra.Command {
	var o ageOptions
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Encrypts all secrets of " + agefile.Name + " anew",
		Long: "Decrypts all secrets of " + agefile.Name + " and encrypts them anew: for the recipients that are\n" +
			"given, else for those that stand in the file. Who could decrypt them before still can, with\n" +
			"an older commit: whoever must not any more makes new values necessary.",
		Example: "  gitdag secrets rotate --identity old.txt --recipient age1…",
		Args:    arguments(cobra.NoArgs),
		RunE:    func(*cobra.Command, []string) error { return c.rotate(&o) },
	}
	o.add(cmd, true)
	return cmd
}

func (c *cli) rotate(o *ageOptions) error {
	f, values, err := c.decrypted(o)
	if err != nil {
		return err
	}
	if len(o.recipients) > 0 {
		if err := f.SetRecipients(o.recipients); err != nil {
			return &usageError{err}
		}
	}
	for _, key := range f.Keys() {
		if err := f.Seal(key, values[key]); err != nil {
			return err
		}
	}
	if err := o.write(f); err != nil {
		return err
	}
	fmt.Fprintf(c.stderr, "%d secrets encrypted for %d recipients\n", len(values), len(f.Recipients()))
	return nil
}

// decrypted reads the file with all its values.
func (c *cli) decrypted(o *ageOptions) (*agefile.File, map[string]string, error) {
	f, err := o.must()
	if err != nil {
		return nil, nil, err
	}
	identities, err := c.identities(o.identities)
	if err != nil {
		return nil, nil, err
	}
	values := map[string]string{}
	for _, key := range f.Keys() {
		if values[key], err = f.Open(key, identities); err != nil {
			return nil, nil, fmt.Errorf("read secret %s from %s: %w", key, o.file, err)
		}
	}
	return f, values, nil
}

func (c *cli) editCommand() *cobra.Command {
	var o ageOptions
	cmd := &cobra.Command{
		Use:   "edit",
		Short: "Opens the secrets of " + agefile.Name + " in an editor",
		Long: "Decrypts " + agefile.Name + " into a file for the editor, which VISUAL or EDITOR names, and\n" +
			"encrypts what was changed there. The rest stays as it is, byte for byte.",
		Example: "  EDITOR=nano gitdag secrets edit --identity age.txt",
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.edit(cmd.Context(), &o) },
	}
	o.add(cmd, true)
	cmd.Flags().Lookup("recipient").Hidden = true
	return cmd
}

func (c *cli) edit(ctx context.Context, o *ageOptions) error {
	if len(o.recipients) > 0 {
		return usagef("`gitdag secrets rotate` changes recipients")
	}
	f, before, err := c.decrypted(o)
	if err != nil {
		return err
	}
	after, err := c.edited(ctx, before)
	if err != nil {
		return err
	}
	changed := 0
	for key := range before {
		if _, ok := after[key]; !ok {
			f.Delete(key)
			changed++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if old, ok := before[key]; ok && old == after[key] {
			continue
		}
		if err := f.Seal(key, after[key]); err != nil {
			return err
		}
		changed++
	}
	if changed == 0 {
		fmt.Fprintln(c.stderr, "Nothing was changed")
		return nil
	}
	if err := o.write(f); err != nil {
		return err
	}
	fmt.Fprintf(c.stderr, "%d secrets changed\n", changed)
	return nil
}

// edited has a person edit values. The file for that is in memory where there is
// such a place, for this account alone, and is removed in any case.
func (c *cli) edited(ctx context.Context, values map[string]string) (map[string]string, error) {
	dir, err := os.MkdirTemp(c.memoryDir(), "gitdag-secrets-")
	if err != nil {
		return nil, fmt.Errorf("edit secrets: %w", err)
	}
	defer os.RemoveAll(dir)
	list := make([]local.Secret, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list = append(list, local.Secret{Key: key, Value: values[key]})
	}
	text := append([]byte("# Keys and values. What is removed here is removed from the project.\n"), local.FormatSecrets(list)...)
	file := filepath.Join(dir, "secrets.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("edit secrets: %w", err)
	}
	editor := c.getenv("VISUAL")
	if editor == "" {
		editor = c.getenv("EDITOR")
	}
	if editor == "" {
		editor = "vi"
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", editor+` "$1"`, "sh", file)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = c.stdin, c.stdout, c.stderr, c.environ()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("edit secrets with %s: %w; nothing was changed", editor, err)
	}
	if text, err = os.ReadFile(file); err != nil {
		return nil, fmt.Errorf("edit secrets: %w", err)
	}
	return c.readEdited(text)
}

func (c *cli) readEdited(text []byte) (map[string]string, error) {
	in := secretInput{cli: c, values: map[string]string{}}
	if err := in.takeAll("the editor", string(text)); err != nil {
		return nil, fmt.Errorf("%w; nothing was changed", err)
	}
	return in.values, nil
}

// memoryDir is a directory that is not on a disk, else that of temporary files.
func (c *cli) memoryDir() string {
	for _, dir := range []string{c.getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
		if info, err := os.Stat(dir); dir != "" && err == nil && info.IsDir() {
			return dir
		}
	}
	return ""
}

// warnOfShort tells that a value will not be masked.
func (c *cli) warnOfShort(key, value string) {
	if value != "" && !(&secret.Masker{}).Add(value) {
		c.warn("the value of %s has less than %d characters: it is too short to be masked in logs", key, secret.MinMasked)
	}
}
