// Package docs holds the user documentation. Its tests run what the pages show,
// with the real program, and follow their links.
package docs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

var binDir string

// TestMain builds the program that the examples call.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gitdag-docs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "gitdag"), "../cmd/gitdag")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build gitdag:", err)
		return 1
	}
	binDir = dir
	return m.Run()
}

// block is a fenced block of a page.
type block struct {
	page string
	line int // of its first line
	info string
	text string
}

func (b block) where() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

func pages(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(list, filepath.Join("..", "README.md"))
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func blocks(t *testing.T, page string) []block {
	t.Helper()
	var list []block
	open := false
	for i, line := range strings.Split(read(t, page), "\n") {
		if info, ok := strings.CutPrefix(line, "```"); ok {
			if open = !open; open {
				list = append(list, block{page: page, line: i + 2, info: info})
			}
			continue
		}
		if open {
			list[len(list)-1].text += line + "\n"
		}
	}
	if open {
		t.Errorf("%s: the last block has no end", page)
	}
	return list
}

// TestExamples writes the files that a page shows (```yaml file=NAME) and runs
// the commands of its console blocks: of what they print, the lines that the
// page shows must be there in that order. In such a line … stands for any text.
func TestExamples(t *testing.T) {
	for _, page := range pages(t) {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var environ []string
			for _, b := range blocks(t, page) {
				if _, name, ok := strings.Cut(b.info, "file="); ok {
					file := filepath.Join(dir, name)
					if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if b.info == "console" {
					if environ == nil {
						environ = serverFor(t, page, dir)
					}
					session(t, dir, b, environ...)
				}
			}
		})
	}
}

// serverFor starts the server that the commands of a page ask, if it is one
// about that, and returns the variables that name it.
func serverFor(t *testing.T, page, dir string) []string {
	t.Helper()
	args := map[string][]string{
		"client.md": {"--memory", "-X", "digdag.secret-encryption-key=MDEyMzQ1Njc4OWFiY2RlZg=="},
		"server.md": {"--config", filepath.Join(dir, "server.properties"), "--database", t.TempDir()},
	}[page]
	if args == nil {
		return []string{}
	}
	server := agenttest.Launch(t, filepath.Join(binDir, "gitdag"), []string{"HOME=" + t.TempDir()},
		append([]string{"server", "--port", "0"}, args...)...)
	address := server.Address()
	for _, b := range blocks(t, page) {
		for line := range strings.Lines(b.text) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "time=…") && !lineLike(line).MatchString(server.Log()) {
				t.Errorf("%s: no line %q in the log:\n%s", b.where(), line, server.Log())
			}
		}
	}
	return []string{"GITDAG_ENDPOINT=" + address}
}

// session runs the commands of a console block.
func session(t *testing.T, dir string, b block, environ ...string) {
	t.Helper()
	parts := regexp.MustCompile(`(?m)^\$ `).Split(b.text, -1)
	if len(parts) < 2 || parts[0] != "" {
		t.Fatalf("%s: a console block begins with a command", b.where())
	}
	for _, part := range parts[1:] {
		command, want, _ := strings.Cut(part, "\n")
		out := shell(t, dir, command, environ...)
		rest := out
		for line := range strings.Lines(want) {
			line = strings.TrimSpace(line)
			at := lineLike(line).FindStringIndex(rest)
			if at == nil {
				t.Errorf("%s: %s: no line %q, or not in this place, in:\n%s", b.where(), command, line, out)
				break
			}
			rest = rest[at[1]:]
		}
	}
}

// lineLike matches a line, … standing for anything; of "Success." the beginning is enough.
func lineLike(line string) *regexp.Regexp {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*")
	if line == "Success." {
		pattern += ".*"
	}
	return regexp.MustCompile(`(?m)^[ \t]*` + pattern + `$`)
}

func shell(t *testing.T, dir, command string, environ ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+binDir+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+dir)
	cmd.Env = append(cmd.Env, environ...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v\n%s", command, err, out.String())
	}
	return out.String()
}

// TestExamplesAreSeen guards the test above against a change of notation.
func TestExamplesAreSeen(t *testing.T) {
	commands, files := 0, 0
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			commands += strings.Count(b.text, "\n$ ") + strings.Count(b.info, "console")
			files += strings.Count(b.info, "file=")
		}
	}
	if commands < 10 || files < 10 {
		t.Errorf("got %d commands and %d files, want 10 at least", commands, files)
	}
}

func TestSampleConfiguration(t *testing.T) {
	if out := shell(t, ".", "gitdag agent --config agent.yaml --check-config"); out != "" {
		t.Errorf("got %q, want no complaint", out)
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinks follows every link to a file of ours, and to a heading in it.
func TestLinks(t *testing.T) {
	seen := 0
	for _, page := range append(pages(t), filepath.Join("..", "ARCHITECTURE.md")) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			seen++
			name, anchor, _ := strings.Cut(m[1], "#")
			file := page
			if name != "" {
				file = filepath.Join(filepath.Dir(page), name)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: link %s: %v", page, m[1], err)
				continue
			}
			if anchor != "" && !anchors(read(t, file))[anchor] {
				t.Errorf("%s: link %s: there is no such heading", page, m[1])
			}
		}
	}
	if seen < 10 {
		t.Errorf("got %d links, want 10 at least", seen)
	}
}

// anchors are the headings of a page as links name them.
func anchors(text string) map[string]bool {
	set := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		a := strings.ToLower(m[1])
		a = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(a, "")
		set[strings.ReplaceAll(a, " ", "-")] = true
	}
	return set
}

// TestEveryDependencyHasItsReason: each direct dependency has a line in
// ARCHITECTURE.md.
func TestEveryDependencyHasItsReason(t *testing.T) {
	_, reasons, _ := strings.Cut(read(t, "../ARCHITECTURE.md"), "## Dependencies")
	direct, _, _ := strings.Cut(read(t, "../go.mod"), "// indirect")
	modules := regexp.MustCompile(`(?m)^\t(\S+) v`).FindAllStringSubmatch(direct, -1)
	for _, m := range modules[:max(len(modules)-1, 0)] { // the last one is the first indirect one
		if !strings.Contains(reasons, "`"+m[1]+"`") {
			t.Errorf("ARCHITECTURE.md does not say why there is %s", m[1])
		}
	}
	if len(modules) < 10 {
		t.Errorf("got %d modules, want 10 at least", len(modules))
	}
}

var call = regexp.MustCompile(`(?m)^ *(?:\$ |\./|go run \./cmd/)?gitdag ((?:(?:journal|secrets) )?[a-z]+)((?: [^#|\n]*)?)`)

// TestCommandsExist asks the program about every command and every flag that a
// page tells people to type.
func TestCommandsExist(t *testing.T) {
	help := map[string]string{}
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			if b.info != "sh" && b.info != "console" && b.info != "text" {
				continue
			}
			for _, m := range call.FindAllStringSubmatch(b.text, -1) {
				if _, ok := help[m[1]]; !ok {
					help[m[1]] = shell(t, ".", "gitdag "+m[1]+" --help 2>&1")
					if !strings.Contains(help[m[1]], "  gitdag "+m[1]) {
						t.Errorf("%s: there is no command gitdag %s", b.where(), m[1])
					}
				}
				for _, flag := range regexp.MustCompile(` (--?[a-z][a-z-]*)`).FindAllStringSubmatch(m[2], -1) {
					if !regexp.MustCompile(`(?m)^ .*` + flag[1] + `\b`).MatchString(help[m[1]]) {
						t.Errorf("%s: gitdag %s has no %s", b.where(), m[1], flag[1])
					}
				}
			}
		}
	}
	if len(help) < 5 {
		t.Errorf("got %d commands, want 5 at least", len(help))
	}
}
