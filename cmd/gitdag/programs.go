package main

import (
	"path/filepath"

	"gitdag/engine/operator/executable"
)

// operatorPath is where the configuration has operators that are programs.
func operatorPath(config properties) []string {
	return filepath.SplitList(config["operator_path"])
}

// programs are the operators that are programs, for local commands.
func programs(config properties) *executable.Finder {
	return executable.NewFinder(operatorPath(config))
}
