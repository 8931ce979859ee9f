package agent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitdag/agent/api"
	"gitdag/engine/flow"
)

// An archive that is no good changes nothing, and its refusal tells nothing of
// where things lie here.
func TestPushRefuses(t *testing.T) {
	r := newPushRig(t)
	r.config.Limits.ExportProjectBytes, r.config.Limits.ExportEntries = 20_000, 10
	r.start()
	reg := func(name, content string) ([]tar.Header, []string) {
		return []tar.Header{{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}}, []string{content}
	}
	entries := func(h []tar.Header, c []string) []byte { return packedEntries(t, h, c) }
	of := func(h ...tar.Header) []byte { return packedEntries(t, h, nil) }
	many := map[string]string{}
	for i := range 11 {
		many[fmt.Sprintf("f%d", i)] = ""
	}
	zeros := string(make([]byte, 10<<20))
	deep := strings.Repeat("d/", 65) + "f"
	link := func(name, target string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
	}
	out := []tar.Header{{Typeflag: tar.TypeDir, Name: "a/b"}, link("a/b/top", "../.."), link("l", "a/b/top/../..")}
	whole := packed(t, map[string]string{"a.dig": "+a: {echo>: a}\n"})
	for name, c := range map[string]struct {
		archive []byte
		want    string
	}{
		"above":                 {entries(reg("../x", "x")), "leads out of the archive"},
		"absolute":              {entries(reg("/x", "x")), "leads out of the archive"},
		"a link out":            {of(tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "../../x"}), "leads out of the archive"},
		"an absolute link":      {of(tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc/passwd"}), "leads out of the archive"},
		"a hard link":           {of(tar.Header{Typeflag: tar.TypeLink, Name: "l", Linkname: "x"}), "neither a file, a directory nor a symbolic link"},
		"a device":              {of(tar.Header{Typeflag: tar.TypeChar, Name: "d"}), "neither a file, a directory nor a symbolic link"},
		"a pipe":                {of(tar.Header{Typeflag: tar.TypeFifo, Name: "p"}), "neither a file, a directory nor a symbolic link"},
		"a file in a file":      {entries([]tar.Header{{Typeflag: tar.TypeReg, Name: "a"}, {Typeflag: tar.TypeReg, Name: "a/b"}}, nil), "file exists"},
		"a long name":           {entries(reg(strings.Repeat("n", 300), "")), "file name too long"},
		"too many entries":      {packed(t, many), "more than 10 entries"},
		"too large a file":      {packed(t, map[string]string{"a": strings.Repeat("x", 20_001)}), "more than 20000 bytes"},
		"too much":              {packed(t, map[string]string{"a": strings.Repeat("x", 15_000), "b": strings.Repeat("x", 15_000)}), "more than 20000 bytes"},
		"a bomb":                {packed(t, map[string]string{"a": zeros}), "more than 20000 bytes"},
		"a bomb behind the end": {zipped(t, string(packedTar(t, nil, nil))+zeros), "behind the last entry"},
		"a bomb in headers":     {of(flood(1000)...), "more than its entries can take"},
		"a size beyond all":     {zipped(t, string(claims(t, 1<<63-1))), "more than 20000 bytes"},
		"a huge header":         {zipped(t, string(hugeHeader(t, 2<<20))), "too long"},
		"a deep name":           {entries(reg(deep, "")), "more than 64 folders in one another"},
		"a name without an end": {entries(reg(strings.Repeat("d/", 100_000)+"f", "")), "more than 64 folders in one another"},
		"folders in a name":     {entries(reg(deep[len(deep)-21:], "")), "more than 10 entries"},
		"above in the middle":   {entries(reg("a/../../x", "x")), "leads out of the archive"},
		"out by two links":      {of(out...), "does not stay in the archive"},
		"through that link":     {of(append(out, tar.Header{Typeflag: tar.TypeReg, Name: "l/x"})...), "path escapes from parent"},
		"links in a circle":     {of(link("a", "b"), link("b", "a")), "does not stay in the archive"},
		"a long link":           {of(link("l", strings.Repeat("x/", 3000))), "file name too long"},
		"a block device":        {of(tar.Header{Typeflag: tar.TypeBlock, Name: "d"}), "neither a file, a directory nor a symbolic link"},
		"no name at all":        {of(tar.Header{Typeflag: tar.TypeReg, Name: "."}), "has no name"},
		"too much, packed":      {noise(20_001), "exceeds limit (20000 bytes)"},
		"cut off":               {whole[:len(whole)-10], "unexpected EOF"},
		"no gzip":               {[]byte("PK\x03\x04 is no gzip"), "gzip"},
		"nothing":               {nil, "EOF"},
		"errors":                {packed(t, map[string]string{"a.dig": "stray: 1\n", "b.dig": "+a: [\n"}), "a.dig:1:1: error: "},
		"two errors":            {packed(t, map[string]string{"a.dig": "stray: 1\n", "b.dig": "+a: [\n"}), "b.dig:"},
		"a bad schedule":        {packed(t, map[string]string{"a.dig": "schedule: {cron>: 1 2 3}\n+a: {echo>: a}\n"}), "a.dig:1:"},
		"a bad name":            {packed(t, map[string]string{"a b.dig": "+a: {echo>: a}\n"}), "a b"},
		"an include beside":     {packed(t, map[string]string{"a.dig": "!include : ../b.dig\n"}), "must not be absolute nor include .."},
	} {
		a := r.upload("etl", "r1", c.archive)
		if a.status != http.StatusBadRequest || !strings.Contains(a.Message, c.want) {
			t.Errorf("%s: got %+v, want 400 and %q", name, a, c.want)
		}
		if strings.Contains(a.Message, r.config.Data) || strings.Contains(a.Message, os.TempDir()) {
			t.Errorf("%s: the refusal tells a path: %s", name, a.Message)
		}
	}
	for name, c := range map[string][2]string{
		"a slash": {"etl/daily", "r1"}, "a digit": {"1etl", "r1"}, "a suffix": {"etl.dig", "r1"}, "no name": {"", "r1"}, "no revision": {"etl", ""},
		"a long name": {strings.Repeat("n", 256), "r1"}, "a long revision": {"etl", strings.Repeat("n", 256)},
	} {
		if a := r.upload(c[0], c[1], whole); a.status != http.StatusBadRequest || a.Message == "" {
			t.Errorf("%s: got %+v, want 400", name, a)
		}
	}
	r.view(func(s *flow.State) {
		if n := len(s.Projects()); n != 0 {
			t.Errorf("%d projects are live, want none", n)
		}
	})
	for _, dir := range []string{"checkouts", filepath.Join("tmp", "push")} {
		if left, err := os.ReadDir(filepath.Join(r.config.Data, dir)); err != nil && !os.IsNotExist(err) || len(left) != 0 {
			t.Errorf("%d entries are left in %s, %v, want none", len(left), dir, err)
		}
	}
	r.pushed(strings.Repeat("n", 255), strings.Repeat("n", 255), map[string]string{"a.dig": "+a: {echo>: a}\n"})
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// zipped is a text with gzip around it.
func zipped(t *testing.T, text string) []byte {
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

// claims is a tar of a file of a byte, and of one that claims a size and has
// nothing.
func claims(t *testing.T, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, h := range []tar.Header{{Typeflag: tar.TypeReg, Name: "a", Size: 1}, {Typeflag: tar.TypeReg, Name: "b", Size: size}} {
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "x"); err != nil {
			t.Fatal(err)
		}
		_ = w.Flush() // pads what is whole
	}
	return b.Bytes()
}

// hugeHeader is a tar whose first header, of attributes, has so many bytes.
func hugeHeader(t *testing.T, n int) []byte {
	t.Helper()
	file := packedTar(t, []tar.Header{{Typeflag: tar.TypeReg, Name: "a", Size: int64(n)}}, []string{strings.Repeat("x", n)})
	const kind, checksum = 156, 148 // in a header of 512 bytes
	file[kind] = tar.TypeXHeader
	copy(file[checksum:], "        ")
	sum := 0
	for _, b := range file[:512] {
		sum += int(b)
	}
	copy(file[checksum:], fmt.Sprintf("%06o\x00 ", sum))
	return file
}

// flood is a file behind headers that belong to no entry.
func flood(n int) []tar.Header {
	list := make([]tar.Header, 0, n+1)
	for range n {
		list = append(list, tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": strings.Repeat("x", 1000)}})
	}
	return append(list, tar.Header{Typeflag: tar.TypeReg, Name: "a"})
}

// Names that only some systems can tell apart are two; of two entries with one
// name the last one counts.
func TestPushOfDoubtfulNames(t *testing.T) {
	r := newPushRig(t)
	r.start()
	reg := func(name, content string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}
	}
	const first, last = "+a: {fail>: the first}\n", "+a: {sh>: 'test \"$(cat Data data)\" = \"12\"'}\n"
	archive := packedEntries(t, []tar.Header{
		reg("w.dig", first), reg("Data", "1"), reg("./w.dig", last), reg("data", "2"),
	}, []string{first, "1", last, "2"})
	if a := r.upload("etl", "r1", archive); a.status != http.StatusOK {
		t.Fatalf("got %+v, want the push taken", a)
	}
	if _, ok := r.startByID(r.definition("etl", "w"), "{}"); !ok {
		t.Errorf("the attempt has failed\n%s", r.log)
	}
}

// A process that was killed in the middle of a push leaves nothing for good,
// wherever it was; nor is there anything in the way of the next one.
func TestKilledInTheMiddleOfAPush(t *testing.T) {
	r := newPushRig(t)
	r.start()
	r.pushed("etl", "r1", map[string]string{"w.dig": "+a: {echo>: a}\n"})
	live := r.checkout("etl")
	// As far as to the object: all but the deployment.
	archive := packed(t, map[string]string{"w.dig": "+a: {echo>: b}\n"})
	up, err := r.agent.projects.spool(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.agent.projects.load(&api.Push{Project: "etl", Revision: "r2"}, up); err != nil {
		t.Fatal(err)
	}
	if _, err := r.agent.engine.PutObject(archive); err != nil {
		t.Fatal(err)
	}
	r.wantKept("r2, at the kill", up.object, true)
	// And one that was being unpacked.
	half := filepath.Join(r.config.Data, "tmp", "push", "unpack-1", "files")
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, half, "w.dig", "+a:")
	r.stop()

	r.start()
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("what was unpacked: got %v, want it gone", err)
	}
	r.eventually("nothing is left", func() bool { // of files that the first housekeeping removes either
		left, err := os.ReadDir(filepath.Join(r.config.Data, "tmp", "push"))
		return err == nil && len(left) == 0
	})
	if got := r.revision("etl"); got != "r1" {
		t.Errorf("revision %s is live, want r1", got)
	}
	r.tidyAll()
	r.wantKept("r2", up.object, false)
	r.wantKept("r1", live, true)
	if a := r.upload("etl", "r2", archive); a.status != http.StatusOK {
		t.Errorf("the same push again: got %+v, want it taken", a)
	}
	r.tidyAll()
	r.wantKept("r2, pushed again", up.object, true)
}

// checkout is the name of the archive, and of the files, of what is live.
func (r *rig) checkout(project string) (name string) {
	r.view(func(s *flow.State) { name = s.ProjectNamed(project).Checkout })
	return name
}
