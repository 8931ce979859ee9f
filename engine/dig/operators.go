package dig

import (
	"fmt"
	"os"
	"path"
	"regexp"
)

// operatorDir is where a project has operators of its own.
const operatorDir = "operators"

var operatorName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// IsOperatorName tells whether an operator that is a program may have the name. It has no dot, by which its file is told
// from others beside it.
func IsOperatorName(name string) bool { return operatorName.MatchString(name) }

// OperatorFile is where an operator of a project's own is, below its root, with slashes. It is found if there is such a
// file, which no link leads out of the project.
func OperatorFile(root *os.Root, name string) (file string, executable, found bool) {
	if !IsOperatorName(name) {
		return "", false, false
	}
	file = path.Join(operatorDir, name)
	info, err := root.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return file, false, false
	}
	return file, info.Mode()&0o111 != 0, true
}

// ownOperator is what there is of an operator of the project's own.
type ownOperator struct {
	file              string
	executable, found bool
}

// operator looks once for an operator, however many tasks have it.
func (l *loader) operator(name string) ownOperator {
	own, ok := l.operators[name]
	if !ok {
		own.file, own.executable, own.found = OperatorFile(l.root, name)
		l.operators[name] = own
	}
	return own
}

// lintType tells whether there is an operator of the name, and reports what is doubtful about it.
func (u *unit) lintType(env *compileEnv, t *visited, key, name string) bool {
	warn := func(message, hint string) { env.report(Warning, problem{in: t.body.m, key: key}, message, hint) }
	own := u.loader.operator(name)
	file, executable, found := own.file, own.executable, own.found
	builtIn := u.opts.Operators(name)
	switch {
	case builtIn && executable:
		warn(fmt.Sprintf("task %s: %s is never run: %s> is built in", t.task, file, name), "give the file another name")
	case builtIn, executable, !found && u.opts.Installed != nil && u.opts.Installed(name):
	case found:
		warn(fmt.Sprintf("task %s: %s is not executable: the task will fail", t.task, file),
			fmt.Sprintf("chmod +x %[1]s, and in Git: git update-index --chmod=+x %[1]s", file))
		return false
	default:
		warn(fmt.Sprintf("task %s: unknown task type: %s", t.task, name), u.operatorHint(name))
		return false
	}
	return true
}
