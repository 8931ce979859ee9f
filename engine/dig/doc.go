// Package dig turns .dig files into workflow trees: the YAML dialect, !include, names, kinds and keys of tasks, and
// everything that can be checked before a task runs.
//
// It reads files only through the [os.Root] of a project, so nothing outside the project is ever opened, and it knows
// neither the engine's state nor JavaScript: no template is evaluated here. Hostile input is bounded before it is
// parsed (1 MiB a workflow with all that it includes) and after (what aliases and includes expand to), so that it
// costs milliseconds and megabytes.
//
// Its invariant: whatever is wrong with a project is reported, all of it and each thing once, with the file, line and
// column of the key or value that its author has to change.
package dig
