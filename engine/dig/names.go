package dig

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	suffix        = ".dig"
	maxNameLength = 255
)

// CheckName tells what keeps name from being the name of a workflow or project (language.md 2.4).
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case utf8.RuneCountInString(name) > maxNameLength:
		return fmt.Errorf("the name is longer than %d characters", maxNameLength)
	case strings.ContainsRune(`0123456789+^@/\:*?"<>|`, rune(name[0])):
		return fmt.Errorf("the name %q must not begin with %q", name, name[:1])
	case strings.HasSuffix(name, suffix):
		return fmt.Errorf("the name %q must not end in %s", name, suffix)
	}
	return nil
}

// DoubtName tells of a character that the name of a project may not begin with and yet has later, which nobody refuses
// (Q26). Names of projects from Git have slashes.
func DoubtName(name string) error {
	if i := strings.IndexAny(name, `+^@\:*?"<>|`); i > 0 {
		return fmt.Errorf("the name %q has %q in it, which addresses and commands may take for something else", name, name[i:i+1])
	}
	return nil
}

// checkTaskName tells what is wrong with a task's own name: "+load", or "^sub" for a generated one. At the top level
// of a file ^ is not allowed.
func checkTaskName(name string, top bool) error {
	if utf8.RuneCountInString(name) > maxNameLength {
		return fmt.Errorf("the task name is longer than %d characters", maxNameLength)
	}
	for _, r := range name[1:] {
		if !isTaskRune(r) || (top && r == '^') {
			return fmt.Errorf("the character %q is not allowed in a task name", r)
		}
	}
	return nil
}

// taskSymbols are the characters of a task name beyond letters and digits.
const taskSymbols = "_-=[]{}%&@`,.^"

func isTaskRune(r rune) bool {
	switch {
	case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9':
		return true
	}
	return strings.ContainsRune(taskSymbols, r)
}
