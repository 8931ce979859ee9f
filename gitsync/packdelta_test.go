package gitsync

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPatch(t *testing.T) {
	base := &content{mem: []byte("0123456789"), size: 10}
	for name, test := range map[string]struct {
		delta string
		limit int64
		want  string
		bad   bool
	}{
		"copy and insert":    {"\x0a\x06\x91\x02\x03\x03abc", 6, "234abc", false},
		"nothing":            {"\x0a\x00", 0, "", false},
		"wrong base size":    {"\x0b\x03\x91\x02\x03", 3, "", true},
		"wrong result size":  {"\x0a\x04\x91\x02\x03", 3, "", true},
		"copy beyond base":   {"\x0a\x03\x91\x08\x03", 3, "", true},
		"copy beyond result": {"\x0a\x03\x91\x00\x04", 3, "", true},
		"copy of 64 KiB":     {"\x0a\x03\x80", 3, "", true},
		"insert beyond":      {"\x0a\x03\x04abcd", 3, "", true},
		"insert cut off":     {"\x0a\x03\x03ab", 3, "", true},
		"reserved":           {"\x0a\x03\x00", 3, "", true},
		"copy cut off":       {"\x0a\x03\x91\x02", 3, "", true},
		"no sizes":           {"", 3, "", true},
		"one size":           {"\x0a", 3, "", true},
		"endless size":       {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 3, "", true},
	} {
		var out bytes.Buffer
		n, err := patch(&out, base, bufio.NewReader(strings.NewReader(test.delta)), test.limit)
		if (err != nil) != test.bad {
			t.Errorf("%s: got %v", name, err)
		}
		if err == nil && (out.String() != test.want || n != int64(len(test.want))) {
			t.Errorf("%s: got %q, want %q", name, out.String(), test.want)
		}
		if int64(out.Len()) > test.limit {
			t.Errorf("%s: wrote %d bytes, more than %d", name, out.Len(), test.limit)
		}
	}
}

func FuzzPatch(f *testing.F) {
	f.Add([]byte("\x0a\x06\x91\x02\x03\x03abc"), int64(6))
	f.Fuzz(func(t *testing.T, delta []byte, limit int64) {
		if limit < 0 || limit > 1<<16 {
			return
		}
		var out bytes.Buffer
		n, err := patch(&out, &content{mem: []byte("0123456789"), size: 10}, bufio.NewReader(bytes.NewReader(delta)), limit)
		if int64(out.Len()) > limit || err == nil && n != int64(out.Len()) {
			t.Errorf("%d bytes came out, %d were told, %d allowed", out.Len(), n, limit)
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add("projects:\n  - {path: a, name: b}\nignore: [x/*]\n")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig([]byte(text))
		if bad := (configError{}); err != nil && !errors.As(err, &bad) {
			t.Errorf("got %v, which has no place", err)
		}
		for p := range c.projects {
			if !filepath.IsLocal(p) {
				t.Errorf("path %q leaves the repository", p)
			}
		}
	})
}

func TestBadAlternates(t *testing.T) {
	for name, test := range map[string]struct{ content, want string }{
		"missing":   {"/no/such/objects\n", "read alternates"},
		"not named": {"/tmp\n", "is not named objects"},
		"itself":    {"../objects\n", "more than 5 deep"},
	} {
		r := newTestRepo(t)
		r.push(files{"p/a.dig": "1"})
		must(t, os.MkdirAll(filepath.Join(r.dir, "objects/info"), 0o755))
		must(t, os.WriteFile(filepath.Join(r.dir, "objects/info/alternates"), []byte("# comment\n\n"+test.content), 0o644))
		if err := newRig(t, Repo{URL: r.dir}).trySync(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"work": "gitdir: elsewhere\n", "odd": "something\n", "blank": "gitdir: \n"} {
		p := filepath.Join(dir, name)
		must(t, os.MkdirAll(p, 0o755))
		must(t, os.WriteFile(filepath.Join(p, ".git"), []byte(content), 0o644))
		if err := newRig(t, Repo{URL: p}).trySync(); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
