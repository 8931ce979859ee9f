package local

import "gitdag/engine/workspace"

// directory is the project's own directory as every task's workspace. It
// implements engine.Workspaces.
type directory struct {
	workspace.InPlace
	dir string
}

// Make returns the project's directory: a local project has no checkout.
func (d *directory) Make(uint64, string) (string, error) { return d.dir, nil }

// close removes what tasks needed for as long as they ran.
func (d *directory) close() { d.Close() }
