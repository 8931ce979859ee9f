package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"gitdag/engine/journal"
)

// journalCommand reads and mends the journal of a data directory.
func (c *cli) journalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Checks, prints or mends the journal of a data directory",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("say what to do with the journal: verify, dump or truncate")
		},
	}
	cmd.AddCommand(c.journalVerify(), c.journalDump(), c.journalTruncate())
	return cmd
}

// dataFlag adds the flag that names the data directory.
func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", "", "data directory of the agent")
}

func openData(data string) (journal.FS, error) {
	if data == "" {
		return nil, usagef("--data is missing: name the agent's data directory")
	}
	return journal.OSFS(data), nil
}

func (c *cli) journalVerify() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:     "verify --data DIR",
		Short:   "Reads the whole journal and says whether it is sound",
		Example: "  gitdag journal verify --data /var/lib/gitdag",
		Args:    arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			fsys, err := openData(data)
			if err != nil {
				return err
			}
			report, err := journal.Verify(fsys)
			if err != nil {
				return fmt.Errorf("verify journal: %w", err)
			}
			fmt.Fprintln(c.stdout, report)
			return nil
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

func (c *cli) journalDump() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:     "dump --data DIR",
		Short:   "Prints the journal's records with their sequence numbers",
		Example: "  gitdag journal dump --data /var/lib/gitdag | grep '\"by\":\"failed\"'",
		Args:    arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			fsys, err := openData(data)
			if err != nil {
				return err
			}
			if err := journal.Dump(fsys, c.stdout); err != nil {
				return fmt.Errorf("dump journal: %w", err)
			}
			return nil
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

func (c *cli) journalTruncate() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:     "truncate --data DIR",
		Short:   "Cuts a damaged journal at the damage and keeps what it drops beside it",
		Example: "  gitdag journal truncate --data /var/lib/gitdag",
		Args:    arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			fsys, err := openData(data)
			if err != nil {
				return err
			}
			cut, err := journal.Truncate(fsys, journal.TruncateOptions{})
			if errors.Is(err, journal.ErrSound) {
				fmt.Fprintln(c.stdout, err)
				return nil
			}
			if err != nil {
				return fmt.Errorf("truncate journal: %w", err)
			}
			fmt.Fprintln(c.stdout, cut)
			return nil
		},
	}
	dataFlag(cmd, &data)
	return cmd
}
