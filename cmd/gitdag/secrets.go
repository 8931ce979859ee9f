package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/engine/secret"
)

// secretsOptions are the command line of `secrets`.
type secretsOptions struct {
	clientOptions
	local       bool
	project     string
	set, delete []string
}

// secretStore is where the command keeps secrets: this machine or a project of
// an agent. What set and delete return is for programs.
type secretStore interface {
	list(ctx context.Context) ([]api.Secret, error)
	set(ctx context.Context, key, value string) (api.Secret, error)
	delete(ctx context.Context, key string) (api.Secret, error)
}

// secretsCommand keeps the secrets of projects, and those of local runs
// (language.md 9.5).
func (c *cli) secretsCommand() *cobra.Command {
	var o secretsOptions
	cmd := &cobra.Command{
		Use:     "secrets (--project NAME | --local) [--set ARG... | --delete KEY...]",
		Aliases: []string{"secret"},
		Short:   "Lists, sets and deletes the secrets of a project or of this machine",
		Long: "Lists, sets and deletes the secrets that the tasks of an agent's project find or, with\n" +
			"--local, those that run and scheduler find on this machine. No value is ever shown.\n" +
			"The commands below keep secrets in Git, beside a project.\n\n" +
			"What --set takes:\n" +
			"  KEY        asks for the value and does not show it\n" +
			"  KEY=VALUE  the value itself; other users of this machine may see it\n" +
			"  KEY=@FILE  the content of a file\n" +
			"  KEY=-      the content of standard input\n" +
			"  @FILE      keys and values, as YAML or JSON, in a file\n" +
			"  - or @-    the same on standard input",
		Example: "  gitdag secrets --project etl\n" +
			"  gitdag secrets --project etl --set pg.password aws.key=@key.txt\n" +
			"  gitdag secrets --local --delete pg.password",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			return c.runSecrets(cmd.Context(), &o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.project, "project", "", "the secrets of the project of this `NAME`")
	f.BoolVar(&o.local, "local", false, "the secrets of this machine")
	f.StringArrayVar(&o.set, "set", nil, "set secrets: `ARG` as above, and any number after it")
	f.StringArrayVar(&o.delete, "delete", nil, "delete the secret `KEY`, and any number after it")
	o.add(f)
	cmd.AddCommand(c.ageCommands()...)
	return cmd
}

// complete gives the arguments to the option that they follow.
func (o *secretsOptions) complete(cmd *cobra.Command, args []string) error {
	set, deleted := cmd.Flags().Changed("set"), cmd.Flags().Changed("delete")
	switch {
	case o.local && o.project != "":
		return usagef("--local and --project cannot both be given")
	case !o.local && o.project == "":
		return usagef("--project NAME or --local is missing: whose secrets?")
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

// runSecrets reads and checks what is asked for before it asks an agent.
func (c *cli) runSecrets(ctx context.Context, o *secretsOptions) error {
	in := secretInput{cli: c, values: map[string]string{}}
	for _, arg := range o.set {
		if err := in.take(ctx, arg); err != nil {
			return err
		}
	}
	for _, key := range o.delete {
		if err := secret.CheckKey(key); err != nil {
			return &usageError{err}
		}
	}
	store, err := c.secretStore(ctx, o)
	if err != nil {
		return err
	}
	switch {
	case len(o.set) > 0:
		return c.eachSecret(o, "set", slices.Sorted(maps.Keys(in.values)), func(key string) (api.Secret, error) {
			return store.set(ctx, key, in.values[key])
		}, func(key string) {
			c.warnOfShort(key, in.values[key])
		})
	case len(o.delete) > 0:
		return c.eachSecret(o, "deleted", o.delete, func(key string) (api.Secret, error) {
			return store.delete(ctx, key)
		}, func(string) {})
	}
	return c.listSecrets(ctx, o, store)
}

func (c *cli) secretStore(ctx context.Context, o *secretsOptions) (secretStore, error) {
	if o.local {
		return c.secretFiles()
	}
	return c.projectSecrets(ctx, o)
}

func (c *cli) listSecrets(ctx context.Context, o *secretsOptions, store secretStore) error {
	list, err := store.list(ctx)
	if err != nil {
		return err
	}
	if o.json {
		return c.printJSON(list)
	}
	for _, s := range list {
		fmt.Fprintln(c.stdout, s.Key)
	}
	return nil
}

// eachSecret changes one secret after the other, and says so: on standard error,
// or as JSON what was changed. Each that was changed is noted then.
func (c *cli) eachSecret(o *secretsOptions, done string, keys []string, change func(key string) (api.Secret, error), note func(key string)) error {
	changed := make([]api.Secret, 0, len(keys))
	var failed error
	for _, key := range keys {
		s, err := change(key)
		if err != nil {
			failed = err
			break
		}
		changed = append(changed, s)
		if !o.json {
			fmt.Fprintf(c.stderr, "Secret '%s' %s\n", key, done)
		}
		note(key)
	}
	if o.json {
		if err := c.printJSON(changed); err != nil {
			return err
		}
	}
	return failed
}
