package local

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/dig"
	"gitdag/engine/operator"
	"gitdag/engine/params"
	"gitdag/engine/schedule"
)

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }

func unzip(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestStateFiles(t *testing.T) {
	result := &operator.Result{
		Subtasks: params.Of("+a", params.Of("echo>", params.Template("${x}"), "_export", params.Of("v", "${data} & $")), "n", params.Number("12345678901234567890")),
		Export:   params.Of("e", params.List{nil, true, params.Number("1.50"), "é\"\n\t: #"}),
		Store:    params.Of("who", "${never}", "0.5", "0.5", "m", params.NewMap(0)),
		Reset:    []string{"td.last_results"},
	}
	data := encodeState("+w+\"a", result)
	got, err := decodeState(data, "+w+\"a")
	if err != nil {
		t.Fatalf("%v:\n%s", err, data)
	}
	if diff := cmp.Diff(fmt.Sprintf("%#v", encoded(result)), fmt.Sprintf("%#v", encoded(got))); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	const empty = `fullName: "+w"
state: "success"
result:
  subtaskConfig: {}
  exportParams: {}
  resetStoreParams: []
  storeParams: {}
  report: {"inputs":[],"outputs":[]}
`
	if got := string(encodeState("+w", nil)); got != empty {
		t.Errorf("got %s, want %s", got, empty)
	}
	if got, err := decodeState([]byte(empty), "+w"); err != nil || !cmp.Equal(got, &operator.Result{}) {
		t.Errorf("got %+v, %v, want an empty result", got, err)
	}
}

// encoded shows a result with what is a template in it and what is data.
func encoded(r *operator.Result) []string {
	list := []string{string(params.Encode(r.Subtasks)), string(params.Encode(r.Export)), string(params.Encode(r.Store))}
	return append(list, r.Reset...)
}

// Digdag writes block style. Subtasks are templates as ever, results data.
func TestDigdagsStateFilesAreRead(t *testing.T) {
	const text = `fullName: "+daily+load"
state: "success"
result:
  subtaskConfig:
    +a:
      sh>: "echo ${x}"
      n: 0x10
  exportParams: {}
  resetStoreParams: []
  storeParams:
    rows: 3
    f: 0.25
    none: null
    yes: "${text}"
    list:
    - true
    - TRUE
    - 1.5e3
  report:
    inputs: []
    outputs: []
`
	r, err := decodeState([]byte(text), "+daily+load")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"+a":{"sh>":"echo ${x}","n":16}}`, "{}",
		`{"rows":3,"f":0.25,"none":null,"yes":{"!data":"${text}"},"list":[true,true,1.5e3]}`,
	}
	if got := encoded(r); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	for _, text := range []string{"[", "fullName: +daily+load\nstate: error\n", "fullName: +daily+load\nstate: success\nresult: {storeParams: [1]}\n", "fullName: +daily+load\nstate: success\nresult: {resetStoreParams: [[]]}\n", "fullName: +daily+load\nstate: success\nresult: {storeParams: {a: &a 1, b: *a}}\n"} {
		if _, err := decodeState([]byte(text), "+daily+load"); err == nil {
			t.Errorf("%q is taken for a state", text)
		}
	}
}

// Names that no file system takes are cut, and stay different.
func TestLongNames(t *testing.T) {
	s, err := openStates(t.TempDir(), time.Date(2031, 4, 5, 0, 0, 0, 0, time.UTC), true, true)
	if err != nil {
		t.Fatal(err)
	}
	one, two := "+"+strings.Repeat("ä", 200), "+"+strings.Repeat("ä", 200)+"b"
	for _, name := range []string{one, two} {
		if err := s.save(name, &operator.Result{Store: params.Of("name", name)}); err != nil {
			t.Fatal(err)
		}
		s.saved[fileName(name)] = true
	}
	for _, name := range []string{one, two} {
		r, err := s.load(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := r.Store.Lookup("name"); got != name {
			t.Errorf("got %v, want %s", got, name)
		}
	}
}

func scheduled(t *testing.T, zone, daily string) *dig.Workflow {
	t.Helper()
	z, err := dig.Zone(zone)
	if err != nil {
		t.Fatal(err)
	}
	w := &dig.Workflow{Name: "w", Zone: z}
	if daily != "" {
		if w.Schedule, err = schedule.Parse([]schedule.Field{{Key: "daily>", Value: daily}}, z); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func TestSession(t *testing.T) {
	saved := t.TempDir()
	for _, file := range []string{
		"20310102T000000+0900/+w+a.yml", "20310103T000000+0900/+w2+a.yml", "20310104T000000+0900/+w.yml",
		"20310101T000000+0900/+w^sub.yml", "other/+w+a.yml",
	} {
		path := filepath.Join(saved, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2031, 5, 6, 20, 30, 40, 50, time.UTC)
	tests := []struct{ text, zone, daily, saved, want string }{
		{"", "Asia/Tokyo", "", saved, "2031-01-02T00:00:00+09:00"},
		{"last", "UTC", "", saved, "2031-01-01T15:00:00Z"},
		{"last", "Asia/Tokyo", "", "nowhere", "2031-05-07T00:00:00+09:00"},
		{"last", "Asia/Tokyo", "12:00:00", "nowhere", "2031-05-07T00:00:00+09:00"},
		{"daily", "America/New_York", "", saved, "2031-05-06T00:00:00-04:00"},
		{"hourly", "Asia/Kolkata", "", saved, "2031-05-07T02:00:00+05:30"},
		{"schedule", "UTC", "12:00:00", saved, "2031-05-06T00:00:00Z"},
		{"2016-03-13 02:30:00", "America/New_York", "", saved, "2016-03-13T03:30:00-04:00"},
		{"2016-11-06 01:30:00", "America/New_York", "", saved, "2016-11-06T01:30:00-04:00"},
		{"2016-02-29", "+09:00", "", saved, "2016-02-29T00:00:00+09:00"},
	}
	for _, tt := range tests {
		at, note, err := session(tt.text, scheduled(t, tt.zone, tt.daily), tt.saved, now)
		if got := at.Format(time.RFC3339); err != nil || got != tt.want {
			t.Errorf("%q in %s: got %s, %v, want %s", tt.text, tt.zone, got, err, tt.want)
		}
		if last := tt.text == "" || tt.text == "last"; last != (note != "") {
			t.Errorf("%q: got note %q", tt.text, note)
		}
	}
}

func TestFindWorkflow(t *testing.T) {
	p := &dig.Project{Workflows: []*dig.Workflow{{Name: "a.b"}, {Name: "w"}}}
	for name, want := range map[string]string{"w": "w", "w.dig": "w", "./w.dig": "w", "/p/w.dig": "w", "a.b": "a.b", "a.b.dig": "a.b", "x": "", "sub/w.dig": "", "w.dig.dig": ""} {
		w, err := FindWorkflow(p, "/p", name)
		switch {
		case want == "" && err == nil:
			t.Errorf("%s: found %s", name, w.Name)
		case want != "" && (err != nil || w.Name != want):
			t.Errorf("%s: got %v, %v, want %s", name, w, err, want)
		}
	}
}

func TestSecrets(t *testing.T) {
	ours, theirs := t.TempDir(), t.TempDir()
	for path, value := range map[string]string{
		filepath.Join(ours, "both"): "ours", filepath.Join(theirs, "both"): "theirs",
		filepath.Join(theirs, "db.password"): "p@ss\n", filepath.Join(filepath.Dir(theirs), "outside"): "x",
	} {
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(ours, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := Secrets{Config: map[string]string{"token": "tok", "": "never asked"}, Dirs: []string{ours, filepath.Join(ours, "nowhere"), theirs}}
	for key, want := range map[string]string{"token": "tok", "both": "ours", "db.password": "p@ss\n"} {
		if got, err := s.Secret(t.Context(), key); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", key, got, err, want)
		}
	}
	for _, key := range []string{"missing", "../outside", "a..b", "1a", "a-", strings.Repeat("k", 256)} {
		var failure *operator.Error
		if got, err := s.Secret(t.Context(), key); !errors.As(err, &failure) || failure.Kind != "secret not found" {
			t.Errorf("%s: got %q, %v, want none", key, got, err)
		}
	}
	if _, err := s.Secret(t.Context(), "dir"); err == nil || !strings.HasPrefix(err.Error(), "read secret dir: ") {
		t.Errorf("a directory: got %v", err)
	}
}

func TestConsole(t *testing.T) {
	var b strings.Builder
	c := NewConsole(&b, slog.LevelDebug, false)
	c.now = func() time.Time { return time.Date(2031, 4, 5, 6, 7, 8, 9, time.FixedZone("", 3600)) }
	c.printf(LevelTrace, "t", "below")
	c.printf(slog.LevelDebug, "t", "100%%")
	c.Info("info %d", 1)
	c.Warn("warn\n")
	c.logger().With("a", 1).Error("broken", "err", errors.New("why"))
	want := `2031-04-05 06:07:08 +0100 [DEBUG] (t): 100%
2031-04-05 06:07:08 +0100 [INFO] (main): info 1
2031-04-05 06:07:08 +0100 [WARN] (main): warn
2031-04-05 06:07:08 +0100 [ERROR] (main): broken a=1 err=why
`
	if got := b.String(); got != want {
		t.Error(cmp.Diff(want, got))
	}
	b.Reset()
	c = NewConsole(&b, LevelTrace, true)
	c.now = func() time.Time { return time.Time{} }
	c.Warn("colour")
	c.printf(LevelTrace, "t", "faint")
	if got, want := b.String(), "\x1b[33m0001-01-01 00:00:00 +0000 [WARN] (main): colour\x1b[0m\n\x1b[2m0001-01-01 00:00:00 +0000 [TRACE] (t): faint\x1b[0m\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestYAML(t *testing.T) {
	m := params.Of("k", "v", "n", params.Number("3"), "f", params.Number("1e-7"), "s", "2", "b", true, "z", nil,
		"l", params.List{"x", params.List{}}, "m", params.Of("t", params.Template("a: ${b}")), "e", params.NewMap(0))
	want := `  k: v
  n: 3
  f: 1e-7
  s: "2"
  b: true
  z: null
  l:
    - x
    - []
  m:
    t: 'a: ${b}'
  e: {}
`
	if got := YAML(m, "  "); got != want {
		t.Error(cmp.Diff(want, got))
	}
	if got := YAML(params.NewMap(0), "  "); got != "  {}\n" {
		t.Errorf("got %q", got)
	}
}

// What a killed run has left goes, what may be in use stays.
func TestStaleScratchDirectories(t *testing.T) {
	project := t.TempDir()
	tmp := filepath.Join(project, ".digdag", "tmp")
	old := time.Now().Add(-48 * time.Hour)
	gone := fmt.Sprintf("run-%d-x", 1<<22+1) // beyond the largest process number
	for _, name := range []string{gone, fmt.Sprintf("run-%d-y", os.Getpid()), "run-x", "mine"} {
		if err := os.MkdirAll(filepath.Join(tmp, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(tmp, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	fresh := filepath.Join(tmp, fmt.Sprintf("run-%d-z", 1<<22+2))
	if err := os.Mkdir(fresh, 0o755); err != nil {
		t.Fatal(err)
	}
	d := &directory{dir: project}
	made, err := d.Scratch(1, tmp)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.Scratch(1, tmp); err != nil || again != made {
		t.Errorf("got %s, %v, want %s again", again, err, made)
	}
	if _, err := os.Stat(filepath.Join(tmp, gone)); err == nil {
		t.Error("a left-over is still there")
	}
	d.close()
	entries, err := os.ReadDir(tmp)
	if err != nil || len(entries) != 4 {
		t.Errorf("got %v, %v, want the four others", entries, err)
	}
	if _, err := (&directory{}).Scratch(1, filepath.Join(fresh, "..", "..", "..", "no\x00dir")); err == nil {
		t.Error("an impossible directory is no error")
	}
}
