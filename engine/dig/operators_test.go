package dig

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOwnOperators(t *testing.T) {
	opts := Options{
		Operators: func(name string) bool { return name == "sh" || name == "echo" },
		Installed: func(name string) bool { return name == "machine" },
	}
	for _, c := range []struct{ name, text, want string }{
		{"executable", "+a: {good>: x}\n+b: {_type: good}\n+c: {good>: y}\n", ""},
		{"of the machine", "+a: {machine>: x}\n", ""},
		{"a type of a vendor", "+a: {td>: x}\n", ""},
		{"not executable", "+a: {plain>: x}\n", "w.dig:1:6: warning: task +w+a: operators/plain is not executable: the task will fail\n" +
			"  hint: chmod +x operators/plain, and in Git: git update-index --chmod=+x operators/plain"},
		{"a folder", "+a: {folder>: x}\n", "w.dig:1:6: warning: task +w+a: unknown task type: folder"},
		{"a link inside", "+a: {link>: x}\n", ""},
		{"a link out of the project", "+a: {out>: x}\n", "w.dig:1:6: warning: task +w+a: unknown task type: out"},
		{"a name with a dot", "+a: {good.yaml>: x}\n", "w.dig:1:6: warning: task +w+a: unknown task type: good.yaml"},
		{"a path", "+a: {'../operators/good>': x}\n", "w.dig:1:6: warning: task +w+a: unknown task type: ../operators/good"},
		{"built in", "+a: {sh>: x}\n", "w.dig:1:6: warning: task +w+a: operators/sh is never run: sh> is built in\n  hint: give the file another name"},
		{"built in, and no program", "+a: {echo>: x}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, map[string]string{
				"w.dig": c.text, "operators/good": "", "operators/td": "", "operators/sh": "", "operators/plain": "",
				"operators/echo": "", "operators/good.yaml": "", "operators/folder/x": "",
			})
			for _, name := range []string{"good", "good.yaml", "td", "sh"} {
				if err := os.Chmod(filepath.Join(dir, "operators", name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for name, target := range map[string]string{"link": "good", "out": "/bin/sh"} {
				if err := os.Symlink(target, filepath.Join(dir, "operators", name)); err != nil {
					t.Fatal(err)
				}
			}
			_, ds := Load(dir, opts)
			if diff := cmp.Diff(c.want, ds.String()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}
