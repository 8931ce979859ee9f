package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lay makes files in dir. A content that begins with -> is a link, one that
// ends in / a directory.
func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "->"); ok {
			err = os.Symlink(target, file)
		} else {
			err = os.WriteFile(file, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// pack packs a directory, which must succeed.
func pack(t *testing.T, dir string, o PackOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := Pack(&b, dir, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// entries lists what an archive holds, one line an entry, in its order.
func entries(t *testing.T, archive []byte) []string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeSymlink {
			list = append(list, h.Name+" -> "+h.Linkname)
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %o %s", h.Name, h.Mode, text))
	}
}

func TestPackLeavesOutWhatIsHiddenOrIgnored(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{
		"a.dig": "a", "b/c.sh": "c", "b/.hidden": "x", ".git/config": "x", ".digdagignore": "/b/skip\n*.tmp\n!keep.tmp\nout/\n!out/kept\n",
		"b/skip/deep/file": "x", "x.tmp": "x", "keep.tmp": "k", "out/kept": "x", "b/out": "a file, no directory", "old.tar.gz": "x",
	})
	if err := os.Chmod(filepath.Join(dir, "b/c.sh"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	stats, err := Pack(&b, dir, PackOptions{Except: filepath.Join(dir, "old.tar.gz")})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a.dig 644 a", "b/c.sh 750 c", "b/out 644 a file, no directory", "keep.tmp 644 k"}
	if diff := cmp.Diff(want, entries(t, b.Bytes())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Stats{Files: 4, Bytes: 23}, stats); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The same content is the same archive, wherever and whenever it was checked
// out.
func TestPackIsDeterministic(t *testing.T) {
	files := map[string]string{"a.dig": "a", "lib/z": "z", "lib/a/b": "b", "l": "->lib/z", strings.Repeat("long/", 60) + "name": "n", "größe.txt": "g"}
	one, two := t.TempDir(), t.TempDir()
	lay(t, one, files)
	lay(t, two, files)
	first, second := pack(t, one, PackOptions{}), pack(t, two, PackOptions{})
	if !bytes.Equal(first, second) {
		t.Errorf("got two different archives: %q and %q", entries(t, first), entries(t, second))
	}
	got := entries(t, first)
	if len(got) != len(files) || !strings.HasPrefix(got[len(got)-1], strings.Repeat("long/", 60)) {
		t.Errorf("got %q, want all files, long names whole", got)
	}
}

func TestLinks(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "flows")
	lay(t, base, map[string]string{
		"flows/a.dig": "a", "flows/sub/deep/f": "f",
		"flows/sub/up": "->../a.dig", "flows/sub/deep/around": "->../../../flows/a.dig", "flows/abs": "->" + filepath.Join(dir, "sub/deep"),
		"flows/dangling": "->nothing", "flows/self": "->.", "flows/sub/twice": "->./deep/../deep/f",
		"alias":   "->flows",
		"other/f": "o", "other/sub/g": "g", "other/sub/to": "->../f", "other/back": "->../flows/a.dig", "other/.x": "x",
		"file": "content",
	})
	want := []string{
		"a.dig 644 a", "abs -> sub/deep", "dangling -> nothing", "self -> .", "sub/deep/around -> ../../a.dig",
		"sub/deep/f 644 f", "sub/twice -> deep/f", "sub/up -> ../a.dig",
	}
	if diff := cmp.Diff(want, entries(t, pack(t, dir, PackOptions{}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// By another name of the directory, a link that names the real one stays.
	if diff := cmp.Diff(want, entries(t, pack(t, filepath.Join(base, "alias"), PackOptions{}))); diff != "" {
		t.Errorf("by an alias (-want +got):\n%s", diff)
	}

	lay(t, dir, map[string]string{"sub/out": "->../../other", "to": "->../file"})
	_, err := Pack(io.Discard, dir, PackOptions{})
	var outgoing *OutgoingLink
	if !errors.As(err, &outgoing) || outgoing.Name != "sub/out" || outgoing.Target != "../../other" || !strings.Contains(outgoing.Hint(), "--copy-outgoing-symlinks") {
		t.Errorf("got %v, want the link sub/out refused", err)
	}
	want = append(want[:6:6], "sub/out/back -> ../../a.dig", "sub/out/f 644 o", "sub/out/sub/g 644 g", "sub/out/sub/to -> ../f",
		"sub/twice -> deep/f", "sub/up -> ../a.dig", "to 644 content")
	if diff := cmp.Diff(want, entries(t, pack(t, dir, PackOptions{CopyOutgoing: true}))); diff != "" {
		t.Errorf("copied (-want +got):\n%s", diff)
	}
}

// What cannot be packed is an error that names it.
func TestPackRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		target string // of the link project/link
		want   string
	}{
		"the directory around":  {"..", "holds the link itself"},
		"a chain into a circle": {"../ring", "holds the link itself"},
		"nothing":               {"../nothing", "copy the target of link: lstat"},
		"a device":              {os.DevNull, "is neither a file nor a directory"},
	} {
		base := t.TempDir()
		lay(t, base, map[string]string{"project/link": "->" + c.target, "ring/x/y": "->" + filepath.Join(base, "ring2"), "ring2/z": "->" + filepath.Join(base, "ring")})
		_, err := Pack(io.Discard, filepath.Join(base, "project"), PackOptions{CopyOutgoing: true})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(io.Discard, dir, PackOptions{}); err == nil || !strings.Contains(err.Error(), "pipe is neither") {
		t.Errorf("got %v, want the pipe named", err)
	}
	if _, err := Pack(io.Discard, filepath.Join(dir, "none"), PackOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want an error for a directory that is not there", err)
	}
	whole := t.TempDir()
	lay(t, whole, map[string]string{"a.dig": "a"})
	if _, err := Pack(brokenPipe{}, whole, PackOptions{}); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// entry is a tar entry for archives that Pack would not write.
type entry struct {
	tar.Header
	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o640, Size: int64(len(content))}, content}
}

func link(name, target string) entry {
	return entry{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}, ""}
}

func made(t *testing.T, list ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i := range list {
		if err := w.WriteHeader(&list[i].Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, list[i].content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tree lists what lies in a directory.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, file)
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(file)
			list = append(list, name+" -> "+target)
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		list = append(list, fmt.Sprintf("%s %o %s", name, info.Mode().Perm(), text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// What was packed comes back as it was.
func TestRoundTrip(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	lay(t, from, map[string]string{"a.dig": "a", "b/c/run.sh": "#!/bin/sh", "b/l": "->c/run.sh", "big": strings.Repeat("x", 1<<20)})
	for name, mode := range map[string]fs.FileMode{"b/c/run.sh": 0o777, "a.dig": 0o444} {
		if err := os.Chmod(filepath.Join(from, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := Unpack(bytes.NewReader(pack(t, from, PackOptions{})), to, Limits{Bytes: 2 << 20, Entries: 6, Depth: 2}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree(t, from), tree(t, to)); diff != "" {
		t.Errorf("(-packed +unpacked):\n%s", diff)
	}
}

// What other programs write: directories, names that begin with ./, a global
// header, an entry that replaces another.
func TestUnpackOfOtherPrograms(t *testing.T) {
	dir := t.TempDir()
	archive := made(
		t, entry{tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "c0ffee"}}, ""},
		entry{tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755}, ""},
		entry{tar.Header{Typeflag: tar.TypeDir, Name: "./d/", Mode: 0o700}, ""},
		file("./a.dig", "old"), file("a.dig", "new"), link("l", "a.dig"), file("l", "a link no more"), file("d/x/../y", "y"),
	)
	if err := Unpack(bytes.NewReader(archive), dir, Limits{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a.dig 640 new", "d/y 640 y", "l 640 a link no more"}, tree(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Nothing is written outside, whatever an archive says.
func TestUnpackStaysInside(t *testing.T) {
	for name, archive := range map[string][]byte{
		"a name above":             made(t, file("../x", "x")),
		"a name above in the end":  made(t, file("a/../../x", "x")),
		"an absolute name":         made(t, file("/x", "x")),
		"a directory above":        made(t, entry{tar.Header{Typeflag: tar.TypeDir, Name: "../d/"}, ""}),
		"a link above":             made(t, link("l", "../x")),
		"a link to the root":       made(t, link("l", "/")),
		"a link deep above":        made(t, link("a/b/l", "../../../x")),
		"a link of two steps":      made(t, file("a/b/f", ""), link("a/b/top", "../.."), link("l", "a/b/top/../../x")),
		"a file through that link": made(t, file("a/b/f", ""), link("a/b/top", "../.."), link("l", "a/b/top/../.."), file("l/x", "x")),
		"links in a circle":        made(t, link("a", "b"), link("b", "a")),
		"a file below a file":      made(t, file("a", "a"), file("a/b", "b")),
		"a file for a directory":   made(t, file("a/b", "b"), file("a", "a")),
		"no name":                  made(t, file(".", "x")),
		"a hard link":              made(t, file("a", "a"), entry{tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "a"}, ""}),
		"a device":                 made(t, entry{tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}, ""}),
		"too many":                 made(t, file("a", ""), file("b", ""), file("c", ""), file("d", ""), file("e", "")),
		"too much":                 made(t, file("a", strings.Repeat("x", 600)), file("b", strings.Repeat("x", 600))),
		"cut off":                  made(t, file("a", "a"))[:60],
		"no gzip":                  []byte("PK\x03\x04 no tar either"),
		"no tar":                   gzipped(t, strings.Repeat("no tar at all ", 100)),
		"a bad checksum":           flipped(made(t, file("a", "a"))),
		"a long tail":              gzipped(t, string(make([]byte, 2<<20))),
	} {
		base := t.TempDir()
		dir := filepath.Join(base, "in", "here")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := Unpack(bytes.NewReader(archive), dir, Limits{Bytes: 1000, Entries: 4}); err == nil {
			t.Errorf("%s: got %q, want an error", name, tree(t, dir))
		}
		for _, found := range tree(t, base) {
			if !strings.HasPrefix(found, "in/here/") {
				t.Errorf("%s: %s was written outside", name, found)
			}
		}
	}
	if err := Unpack(bytes.NewReader(nil), filepath.Join(t.TempDir(), "none"), Limits{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want an error for a directory that is not there", err)
	}
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// flipped has a wrong checksum at its end.
func flipped(archive []byte) []byte {
	archive[len(archive)-8] ^= 1
	return archive
}

// Each limit holds for what is in an archive, in a name, and in no entry at all.
func TestUnpackSaysWhichLimit(t *testing.T) {
	two := made(t, file("a", "aa"), file("b", "bb"))
	flood := make([]entry, 0, 4001)
	for range cap(flood) - 1 {
		flood = append(flood, entry{tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": strings.Repeat("x", 1000)}}, ""})
	}
	flood = append(flood, file("a", "a"))
	for name, c := range map[string]struct {
		archive []byte
		limits  Limits
		want    string
	}{
		"bytes":                       {two, Limits{Bytes: 3}, "3 bytes"},
		"a size that overflows a sum": {claimed(t, 1, 1<<63-1), Limits{Bytes: 3}, "3 bytes"},
		"entries":                     {two, Limits{Entries: 1}, "1 entries"},
		"folders in a name":           {made(t, file(strings.Repeat("d/", 5)+"f", "")), Limits{Entries: 5}, "5 entries"},
		"folders of a folder":         {made(t, entry{tar.Header{Typeflag: tar.TypeDir, Name: strings.Repeat("d/", 6)}, ""}), Limits{Entries: 5}, "5 entries"},
		"depth":                       {made(t, file(strings.Repeat("d/", 5)+"f", "")), Limits{Depth: 4}, "4 folders in one another"},
		"a name without an end":       {made(t, file(strings.Repeat("d/", 100_000)+"f", "")), Limits{Depth: 64}, "64 folders in one another"},
		"headers of no entry":         {made(t, flood...), Limits{Bytes: 1000, Entries: 10}, "its entries can take"},
	} {
		dir := t.TempDir()
		err := Unpack(bytes.NewReader(c.archive), dir, c.limits)
		var large *TooLarge
		if want := "unpack an archive: the archive has more than " + c.want; !errors.As(err, &large) || err.Error() != want {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	many := made(t, file("d/a", ""), file("d/b", ""), entry{tar.Header{Typeflag: tar.TypeDir, Name: "d/"}, ""}, file("d/a", ""))
	if err := Unpack(bytes.NewReader(many), t.TempDir(), Limits{Bytes: 1, Entries: 4, Depth: 1}); err != nil {
		t.Errorf("a folder counts more than once: %v", err)
	}
}

// claimed is an archive whose entries claim a size, of which there is no more
// than a byte.
func claimed(t *testing.T, sizes ...int64) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for i, size := range sizes {
		w := tar.NewWriter(z)
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint(i), Size: size}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "x"); err != nil {
			t.Fatal(err)
		}
		_ = w.Flush() // pads, if the size is that of the content
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What an error tells of an archive is short.
func TestUnpackClipsNames(t *testing.T) {
	err := Unpack(bytes.NewReader(made(t, file("../"+strings.Repeat("x", 1000), ""))), t.TempDir(), Limits{})
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("got %v, want a short error", err)
	}
}

// FuzzUnpack: no archive leaves its directory.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte("../x"), []byte("a/l"), []byte("../.."))
	f.Add([]byte("l/../x"), []byte("l"), []byte("a/b/c/../../.."))
	f.Fuzz(func(t *testing.T, name, linkName, target []byte) {
		base := t.TempDir()
		dir := filepath.Join(base, "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for _, h := range []tar.Header{
			{Typeflag: tar.TypeSymlink, Name: string(linkName), Linkname: string(target)},
			{Typeflag: tar.TypeReg, Name: string(name)},
		} {
			if w.WriteHeader(&h) != nil {
				return
			}
		}
		_, _ = w.Close(), z.Close()
		_ = Unpack(&b, dir, Limits{})
		found, err := os.ReadDir(base)
		if err != nil || len(found) != 1 {
			t.Errorf("%q, %q -> %q: got %v beside the directory, %v", name, linkName, target, found, err)
		}
	})
}
