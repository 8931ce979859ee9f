package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"gitdag/agent/client"
	"gitdag/engine/archive"
)

// downloadOptions are the command line of `download`.
type downloadOptions struct {
	clientOptions
	revision string
	output   string
}

// downloadCommand fetches the files of a revision.
func (c *cli) downloadCommand() *cobra.Command {
	var o downloadOptions
	cmd := &cobra.Command{
		Use:               "download PROJECT",
		Short:             "Fetches the files of a project",
		Long:              "Fetches the files of a revision of a project. What is in the directory already is overwritten where\nthe revision has a file of that name, and else stays.",
		Example:           "  gitdag download etl\n  gitdag download etl -r rel-2026.01 -o old",
		Args:              arguments(cobra.ExactArgs(1)),
		ValidArgsFunction: c.completing(&o.clientOptions, projectNames),
	}
	c.asking(cmd, &o.clientOptions, func(ctx context.Context, agent *client.Client, args []string) error {
		return c.download(ctx, agent, args[0], &o)
	})
	f := cmd.Flags()
	f.StringVarP(&o.revision, "revision", "r", "", "fetch this `REVISION` (default: the latest)")
	f.StringVarP(&o.output, "output", "o", "", "write into this `DIR` (default: the project's name)")
	return cmd
}

func (c *cli) download(ctx context.Context, agent *client.Client, name string, o *downloadOptions) error {
	project, err := agent.Project(ctx, name)
	if err != nil {
		return err
	}
	d := downloaded{Project: project.Name, Revision: cmp.Or(o.revision, project.Revision), Directory: cmp.Or(o.output, project.Name)}
	packed, err := agent.Archive(ctx, project.ID, d.Revision)
	if err != nil {
		return err
	}
	defer packed.Close()
	if err := os.MkdirAll(d.Directory, 0o755); err != nil {
		return fmt.Errorf("download into %s: %w", d.Directory, err)
	}
	// Nothing of an archive that breaks off takes the place of anything.
	part, err := os.MkdirTemp(d.Directory, ".download-")
	if err != nil {
		return fmt.Errorf("download into %s: %w", d.Directory, err)
	}
	defer os.RemoveAll(part)
	if err := archive.Unpack(packed, part, archive.Limits{}); err != nil {
		return fmt.Errorf("download revision %s of project %s: %w", d.Revision, d.Project, err)
	}
	if d.Files, err = moveFiles(d.Directory, filepath.Base(part)); err != nil {
		return fmt.Errorf("download into %s: %w", d.Directory, err)
	}
	return c.result(&o.clientOptions, d, func() {
		for _, f := range d.Files {
			fmt.Fprintf(c.stdout, "  %s%s\n", filepath.Join(d.Directory, f.Name), pointing(f.Target))
		}
		fmt.Fprintf(c.stdout, "Downloaded revision %s of project %s into %s\n", d.Revision, d.Project, d.Directory)
	})
}

// downloaded is what a download has brought.
type downloaded struct {
	Project   string         `json:"project"`
	Revision  string         `json:"revision"`
	Directory string         `json:"directory"`
	Files     []archivedFile `json:"files"`
}

// archivedFile is a file of an archive, or a link to Target.
type archivedFile struct {
	Name   string `json:"name"`
	Target string `json:"target,omitempty"`
}

// pointing shows where a link leads.
func pointing(target string) string {
	if target == "" {
		return ""
	}
	return " -> " + target
}

// moveFiles moves what is below a directory of dir up into dir and returns it.
// It follows no link that leads out of dir.
func moveFiles(dir, part string) ([]archivedFile, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	moved := []archivedFile{}
	err = fs.WalkDir(root.FS(), part, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(part, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return root.MkdirAll(name, 0o755)
		}
		f := archivedFile{Name: filepath.ToSlash(name)}
		if entry.Type()&fs.ModeSymlink != 0 {
			if f.Target, err = root.Readlink(path); err != nil {
				return err
			}
		}
		moved = append(moved, f)
		return root.Rename(path, name)
	})
	return moved, err
}
