package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"gitdag/engine/archive"
	"gitdag/engine/dig"
	"gitdag/internal/atomicfile"
)

// archiveOptions are the command line of `archive`.
type archiveOptions struct {
	commonOptions
	project string
	output  string
	copied  bool
}

// archiveCommand writes the file that a push uploads (server.md 2.4).
func (c *cli) archiveCommand() *cobra.Command {
	var o archiveOptions
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "Packs a project into the file that a push uploads",
		Long: "Packs a project into a gzip-compressed tar. Hidden files and those that .digdagignore names are left out.\n" +
			"The same files always make the same archive.",
		Example: "  gitdag archive\n  gitdag archive --project etl -o etl.tar.gz",
		Args:    arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return c.archive(&o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.add(f)
	f.StringVar(&o.project, "project", ".", "pack the project in this `DIR`")
	f.StringVarP(&o.output, "output", "o", "digdag.archive.tar.gz", "write the archive to this `FILE`")
	f.BoolVar(&o.copied, "copy-outgoing-symlinks", false, "store what links that lead out of the project point to in their place")
	return cmd
}

func (c *cli) archive(o *archiveOptions) error {
	if _, err := c.loadConfig(&o.commonOptions); err != nil {
		return err
	}
	dir, err := filepath.Abs(o.project)
	if err != nil {
		return fmt.Errorf("find the project: %w", err)
	}
	types := operators()
	known := func(name string) bool { _, ok := types.Lookup(name); return ok }
	project, err := c.loadProject(dir, dig.Options{Operators: known}, func(d dig.Diagnostic) { fmt.Fprintln(c.stderr, d) })
	if err != nil {
		return err
	}
	stats, err := packTo(o.output, dir, o.copied)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "Created %s: %s, %s, %s unpacked\n", o.output,
		counted(len(project.Workflows), "workflow"), counted(stats.Files, "file"), counted(int(stats.Bytes), "byte"))
	return nil
}

// packTo writes the archive of a project to a file, which never holds a part of
// it, nor its own former content.
func packTo(output, dir string, copied bool) (archive.Stats, error) {
	f, err := atomicfile.Options{NoSync: true}.Create(output, 0o644)
	if err != nil {
		return archive.Stats{}, err
	}
	defer f.Close()
	stats, err := archive.Pack(f, dir, archive.PackOptions{CopyOutgoing: copied, Except: output})
	if err != nil {
		return stats, err
	}
	return stats, f.Commit()
}
