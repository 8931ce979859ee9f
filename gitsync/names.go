package gitsync

import (
	"strings"
	"unicode/utf8"
)

// badEntryName says what is wrong with a name in a tree, or nothing. It refuses
// what git itself refuses to check out on any system, and what cannot be shown
// to people as it is.
func badEntryName(name string) string {
	switch {
	case name == "" || name == "." || name == "..":
		return "is not a file name"
	case strings.ContainsAny(name, "/\\"):
		return "holds a slash or a backslash"
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case strings.ContainsFunc(name, func(c rune) bool { return c < 0x20 || c >= 0x7f && c < 0xa0 }):
		return "holds control characters"
	case len(name) > 255:
		return "is longer than 255 bytes"
	case isDotGit(name):
		return "is a spelling of .git"
	}
	return ""
}

// isDotGit recognises the names that some file system takes for .git: other
// case, what HFS+ ignores, and the short names, trailing dots, blanks and
// streams of NTFS.
func isDotGit(name string) bool {
	n := strings.ToLower(strings.Map(func(r rune) rune {
		if ignoredByHFS(r) {
			return -1
		}
		return r
	}, name))
	n, _, _ = strings.Cut(n, ":")
	n = strings.TrimRight(n, ". ")
	return n == ".git" || n == "git~1"
}

func ignoredByHFS(r rune) bool {
	switch {
	case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
		return true
	}
	return false
}

// badProjectName says what is wrong with a project's name, or nothing. Names of
// projects from Git may hold slashes.
func badProjectName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case utf8.RuneCountInString(name) > 255:
		return "is longer than 255 characters"
	case name[0] >= '0' && name[0] <= '9':
		return "begins with a digit"
	case strings.ContainsRune(`+^@/\:*?"<>|`, rune(name[0])):
		return "begins with one of + ^ @ / \\ : * ? \" < > |"
	case strings.HasSuffix(name, ".dig"):
		return "ends in .dig"
	}
	return ""
}

// badLink says why a link may not be kept, or nothing. dir is the link's folder
// below the project. A ".." is allowed at the beginning only, where it climbs
// real folders: behind another link it would climb from an unknown place.
func badLink(dir, target string) string {
	switch {
	case target == "":
		return "points nowhere"
	case strings.HasPrefix(target, "/") || strings.ContainsAny(target, "\\\x00"):
		return "points outside of the project"
	}
	depth := 0
	if dir != "." {
		depth = strings.Count(dir, "/") + 1
	}
	climbing := true
	for part := range strings.SplitSeq(target, "/") {
		switch {
		case part == "" || part == ".":
		case part != "..":
			climbing = false
			if isDotGit(part) {
				return "points into .git"
			}
		case !climbing:
			return "climbs with .. behind a folder"
		case depth == 0:
			return "points outside of the project"
		default:
			depth--
		}
	}
	return ""
}
