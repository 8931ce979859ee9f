package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gitdag/engine/archive"
	"gitdag/engine/dig"
	"gitdag/internal/atomicfile"
)

// archiveOptions are the command line of `archive`.
type archiveOptions struct {
	commonOptions
	packing
	output string
	json   bool
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
	o.commonOptions.add(f)
	o.packing.add(f)
	f.StringVarP(&o.output, "output", "o", "digdag.archive.tar.gz", "write the archive to this `FILE`")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (c *cli) archive(o *archiveOptions) error {
	if _, err := c.loadConfig(&o.commonOptions); err != nil {
		return err
	}
	source, err := c.source(&o.packing)
	if err != nil {
		return err
	}
	// The file never holds a part of the archive, nor the archive its former self.
	f, err := atomicfile.Options{NoSync: true}.Create(o.output, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	source.except = o.output
	stats, err := c.pack(f, source, o.json)
	if err == nil {
		err = f.Commit()
	}
	if err != nil {
		return err
	}
	if o.json {
		return c.printJSON(packed{o.output, source.workflows, stats.Files, stats.Bytes})
	}
	fmt.Fprintf(c.stdout, "Created %s: %s, %s, %s unpacked\n", o.output,
		counted(len(source.workflows), "workflow"), counted(stats.Files, "file"), counted(int(stats.Bytes), "byte"))
	return nil
}

// packed is an archive as other programs get it.
type packed struct {
	Archive   string   `json:"archive"`
	Workflows []string `json:"workflows"`
	Files     int      `json:"files"`
	Bytes     int64    `json:"bytes"`
}

// packing are the options of what packs a project.
type packing struct {
	dir    string
	copied bool
}

func (p *packing) add(f *pflag.FlagSet) {
	f.StringVar(&p.dir, "project", ".", "pack the project in this `DIR`")
	f.BoolVar(&p.copied, "copy-outgoing-symlinks", false, "store what links that lead out of the project point to in their place")
}

// source is a project that can be packed.
type source struct {
	dir       string // absolute
	copied    bool
	except    string // the file that is left out; "" for none
	workflows []string
}

// source reads a project. One with errors is refused, as servers refuse it.
func (c *cli) source(p *packing) (*source, error) {
	dir, err := filepath.Abs(p.dir)
	if err != nil {
		return nil, fmt.Errorf("find the project: %w", err)
	}
	types := operators()
	known := func(name string) bool { _, ok := types.Lookup(name); return ok }
	project, err := c.loadProject(dir, dig.Options{Operators: known}, func(d dig.Diagnostic) { fmt.Fprintln(c.stderr, d) })
	if err != nil {
		return nil, err
	}
	s := &source{dir: dir, copied: p.copied, workflows: []string{}}
	for _, w := range project.Workflows {
		s.workflows = append(s.workflows, w.Name)
	}
	if len(s.workflows) == 0 {
		c.warn("there is no workflow in the project: workflows are the .dig files in its own directory, not in those below")
	}
	return s, nil
}

// pack packs a project and, unless it is to be quiet, tells what goes in.
func (c *cli) pack(w io.Writer, s *source, quiet bool) (archive.Stats, error) {
	options := archive.PackOptions{CopyOutgoing: s.copied, Except: s.except}
	if !quiet {
		options.Each = func(name, target string) { fmt.Fprintf(c.stdout, "  Archiving %s%s\n", name, pointing(target)) }
	}
	stats, err := archive.Pack(w, s.dir, options)
	if err != nil || quiet {
		return stats, err
	}
	fmt.Fprintln(c.stdout, "Workflows:")
	for _, name := range s.workflows {
		fmt.Fprintf(c.stdout, "  %s.dig\n", name)
	}
	fmt.Fprintln(c.stdout)
	return stats, nil
}
