package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"gitdag/engine/dig"
	"gitdag/engine/local"
	"gitdag/engine/params"
)

// commonOptions are those of every local command (language.md 9.1).
type commonOptions struct {
	config   string
	system   []string
	logLevel string
	logFile  string
}

func (o *commonOptions) add(f *pflag.FlagSet) {
	f.StringVarP(&o.config, "config", "c", "", "read this configuration `FILE` and not the default one")
	f.StringArrayVarP(&o.system, "X", "X", nil, "set an entry of the configuration: `KEY=VALUE`")
	f.StringVarP(&o.logLevel, "log-level", "l", "info", "write log lines of this `LEVEL` and above: error, warn, info, debug, trace")
	f.StringVarP(&o.logFile, "log", "L", "", "write log lines to this `FILE`")
}

// projectOptions are those of the commands that read a project.
type projectOptions struct {
	commonOptions
	project string
	params  []string
	files   []string
}

func (o *projectOptions) add(f *pflag.FlagSet) {
	o.commonOptions.add(f)
	f.StringVar(&o.project, "project", "", "work on the project in this `DIR` (default: the current one)")
	f.StringArrayVarP(&o.params, "param", "p", nil, "set a parameter: `KEY=VALUE`, may be repeated")
	f.StringArrayVarP(&o.files, "params-file", "P", nil, "read parameters from a YAML or JSON `FILE`")
}

// dir returns the project's directory, absolute, and whether it is another one
// than the current one.
func (o *projectOptions) dir() (dir string, elsewhere bool, err error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", false, fmt.Errorf("find the current directory: %w", err)
	}
	dir, err = filepath.Abs(cmp.Or(o.project, "."))
	return dir, err == nil && dir != wd, err
}

func (c *cli) getenv(name string) string {
	for _, entry := range slices.Backward(c.environ()) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// configDirs are the directories of configuration and secrets, ours first.
func (c *cli) configDirs() []string {
	dirs := make([]string, 0, 2)
	for _, name := range []string{"gitdag", "digdag"} {
		if dir := c.getenv(strings.ToUpper(name) + "_CONFIG_HOME"); dir != "" {
			dirs = append(dirs, dir)
		} else if base := c.configBase(name); base != "" {
			dirs = append(dirs, filepath.Join(base, name))
		}
	}
	return dirs
}

// configBase is where a program's configuration lies. Digdag's home directory
// is the account's, not $HOME (language.md 5.8).
func (c *cli) configBase(program string) string {
	if base := c.getenv("XDG_CONFIG_HOME"); base != "" {
		return base
	}
	home := ""
	if program == "gitdag" {
		home = c.getenv("HOME")
	}
	if home == "" {
		account, err := user.Current()
		if err != nil {
			return ""
		}
		home = account.HomeDir
	}
	return filepath.Join(home, ".config")
}

// loadConfig reads the configuration, from low to high: the default files, the
// environment, -X, the file of -c. As for every command, GITDAG_CONFIG is -c
// where that is not given, below -X as variables are below options; Digdag's
// variable holds the entries themselves.
func (c *cli) loadConfig(o *commonOptions) (properties, error) {
	config := properties{}
	named := c.getenv("GITDAG_CONFIG")
	if o.config == "" && named == "" {
		for _, dir := range slices.Backward(c.configDirs()) {
			err := config.readFile(filepath.Join(dir, "config"))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	config.read(c.getenv("DIGDAG_CONFIG"))
	if o.config == "" && named != "" {
		if err := config.readFile(named); err != nil {
			return nil, err
		}
	}
	for _, entry := range o.system {
		key, value, ok := strings.Cut(entry, "=")
		if !ok {
			return nil, usagef("-X needs KEY=VALUE, not %q", entry)
		}
		config.set(key, value)
	}
	if o.config != "" {
		if err := config.readFile(o.config); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// secrets returns the local secrets.
func (c *cli) secrets(config properties) local.Secrets {
	s := local.Secrets{Config: config.below("secrets.")}
	for _, dir := range c.configDirs() {
		s.Dirs = append(s.Dirs, filepath.Join(dir, "secrets"))
	}
	return s
}

// loadParams merges the parameters of the configuration, the files and the
// command line, from low to high. All texts are templates.
func (o *projectOptions) loadParams(config properties) (*params.Map, error) {
	var list []assignment
	for key, value := range config.below("params.") {
		list = append(list, assignment{key, value})
	}
	slices.SortFunc(list, func(a, b assignment) int { return cmp.Compare(a.key, b.key) })
	m, err := assign(params.NewMap(len(list)), list)
	if err != nil {
		return nil, err
	}
	for _, file := range o.files {
		loaded, err := dig.LoadParams(file)
		if err != nil {
			return nil, fmt.Errorf("read parameters: %w", err)
		}
		m = params.Merge(m, loaded)
	}
	list, err = splitAssignments(o.params)
	if err != nil {
		return nil, err
	}
	if m, err = assign(m, list); err != nil {
		return nil, err
	}
	dir, elsewhere, err := o.dir()
	if elsewhere {
		m.Set("_project_path", dir)
	}
	return m, err
}

type assignment struct{ key, value string }

// splitAssignments reads -p: each option may hold several assignments between
// commas, and a piece without one belongs to the value before it (L60).
func splitAssignments(options []string) ([]assignment, error) {
	var list []assignment
	for _, option := range options {
		for i, piece := range strings.Split(option, ",") {
			key, value, ok := strings.Cut(piece, "=")
			switch {
			case ok && key != "":
				list = append(list, assignment{key, value})
			case i == 0:
				return nil, usagef("-p needs KEY=VALUE, not %q", option)
			default:
				list[len(list)-1].value += "," + piece
			}
		}
	}
	return list, nil
}

// assign sets parameters by their dotted keys. One that would have to be both a
// value and an object is an error.
func assign(m *params.Map, list []assignment) (*params.Map, error) {
	var err error
	for _, a := range list {
		if m, err = assigned(m, strings.Split(a.key, "."), a); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func assigned(m *params.Map, path []string, a assignment) (*params.Map, error) {
	m = m.Clone()
	old, there := m.Lookup(path[0])
	sub, isMap := old.(*params.Map)
	if len(path) == 1 {
		if isMap {
			return nil, usagef("parameter %q can't be a value: it has others below it", a.key)
		}
		m.Set(path[0], params.Template(a.value))
		return m, nil
	}
	if there && !isMap {
		return nil, usagef("parameter %q can't be set: %q is a value already",
			a.key, strings.TrimSuffix(a.key, "."+strings.Join(path[1:], ".")))
	}
	if !isMap {
		sub = params.NewMap(1)
	}
	sub, err := assigned(sub, path[1:], a)
	if err != nil {
		return nil, err
	}
	m.Set(path[0], sub)
	return m, nil
}

// openConsole opens what log lines go to. done closes it.
func (c *cli) openConsole(o *commonOptions) (console *local.Console, done func(), err error) {
	levels := map[string]slog.Level{
		"error": slog.LevelError, "warn": slog.LevelWarn, "info": slog.LevelInfo,
		"debug": slog.LevelDebug, "trace": local.LevelTrace,
	}
	level, ok := levels[o.logLevel]
	if !ok {
		return nil, nil, usagef("unknown log level %q: it must be error, warn, info, debug or trace", o.logLevel)
	}
	if o.logFile == "" {
		return local.NewConsole(c.stdout, level, c.colored()), func() {}, nil
	}
	f, err := openLogFile(o.logFile)
	if err != nil {
		return nil, nil, err
	}
	return local.NewConsole(f, level, false), func() { _ = f.Close() }, nil
}

// colored tells whether standard output is a terminal that likes colours.
func (c *cli) colored() bool {
	f := fileOf(c.stdout)
	if f == nil || c.getenv("NO_COLOR") != "" || c.getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&(os.ModeDevice|os.ModeCharDevice) == os.ModeDevice|os.ModeCharDevice && f.Name() != os.DevNull
}

// loadProject reads a project; one with errors is refused as a whole (L4). What
// is only doubtful goes to warn.
func (c *cli) loadProject(dir string, options dig.Options, warn func(dig.Diagnostic)) (*dig.Project, error) {
	p, diagnostics := dig.Load(dir, options)
	if errs := diagnostics.Errors(); len(errs) > 0 {
		return nil, &projectError{dir, errs}
	}
	for _, d := range diagnostics.Warnings() {
		warn(d)
	}
	return p, nil
}

// projectError refuses a project with errors.
type projectError struct {
	dir  string
	errs dig.Diagnostics
}

func (e *projectError) Error() string {
	if len(e.errs) == 1 && e.errs[0].File == "" {
		return e.errs[0].Message
	}
	noun := "errors"
	if len(e.errs) == 1 {
		noun = "error"
	}
	text := strings.ReplaceAll(e.errs.String(), "\n", "\n  ")
	return "the project in " + e.dir + " has " + strconv.Itoa(len(e.errs)) + " " + noun + ":\n  " + text
}
