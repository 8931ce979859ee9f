package agent

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitdag/agent/api"
	"gitdag/bench/agenttest"
	"gitdag/engine"
	"gitdag/engine/flow"
	"gitdag/engine/journal"
	"gitdag/engine/params"
)

// smallDisk mounts a file system of so many bytes and returns where. Only root
// may; that the shell keeps its promises on a full disk is also proved without
// one, on a file system in memory, in package engine.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size+",mode=0700")
	switch {
	case err == nil:
	case errors.Is(err, os.ErrPermission) && os.Getenv("CI") == "":
		t.Skip("a file system can be mounted by root only")
	default:
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill takes all the space of a file system, and gives it back when asked.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	file := filepath.Join(dir, "ballast")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}

// bulk is more for the journal than the rest of a page, which a full disk still
// has for a file.
func bulk() string {
	var tasks strings.Builder
	for i := range 100 {
		fmt.Fprintf(&tasks, "+bulk%d: {if>: false, _do: {+never: {fail>: never}}}\n", i)
	}
	return tasks.String()
}

// On a full disk new work is refused with a clear reason, what runs is not
// lost, and all goes on when there is space again.
func TestFullDisk(t *testing.T) {
	disk := smallDisk(t, "16m")
	dir := t.TempDir()
	out, gate := filepath.Join(dir, "out"), filepath.Join(dir, "gate")
	r := newRig(t)
	t.Cleanup(r.stop) // before the unmount
	r.config.Data = filepath.Join(disk, "data")
	r.start()
	wait := "while [ ! -e " + gate + " ]; do sleep 0.02; done"
	r.push("files", map[string]string{
		"w.dig": "+a: {sh>: 'echo begun >> " + out + "; " + wait + "'}\n+b: {sh>: echo next >> " + out + "}\n" + bulk(),
		"v.dig": "+a: {echo>: a}\n",
	})
	id := r.begin("w", time.Unix(1_700_000_000, 0))
	r.eventually("the task runs", func() bool { data, _ := os.ReadFile(out); return len(data) > 0 })
	free := fill(t, disk)
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r.log.Await(t, `level=ERROR msg="no space left for the journal: nothing new is accepted until there is"`)
	r.eventually("the agent says that it is full", r.agent.engine.Full)
	start := func() error {
		_, err := r.agent.engine.StartAttempt(t.Context(), engine.StartRequest{
			Project: "flows", Workflow: "v", Session: time.Unix(1_700_000_001, 0), Params: params.NewMap(0),
		})
		return err
	}
	if err := start(); !errors.Is(err, engine.ErrNoSpace) {
		t.Errorf("a start on a full disk: got %v, want %v", err, engine.ErrNoSpace)
	}
	r.view(func(s *flow.State) {
		if len(s.Attempts()) != 1 {
			t.Errorf("%d live attempts, want the one", len(s.Attempts()))
		}
	})

	var status api.Status
	r.ask(http.MethodGet, "/api/status", "", "", &status)
	if !status.DiskFull {
		t.Error("the status does not tell that the disk is full")
	}
	for _, large := range []string{"x", strings.Repeat("x", 2000)} {
		body := fmt.Sprintf(`{"workflowId": "1", "sessionTime": "2031-01-01T00:00:00Z", "params": {"p": %q}}`, large)
		if got := r.ask(http.MethodPut, "/api/attempts", body, "", nil); got != http.StatusServiceUnavailable {
			t.Errorf("PUT /api/attempts with %d bytes: status %d, want 503", len(large), got)
		}
	}

	free()
	if !r.ended(id) {
		t.Errorf("the attempt has failed\n%s", r.log)
	}
	if err := start(); err != nil {
		t.Errorf("a start with space again: %v", err)
	}
	if data, _ := os.ReadFile(out); string(data) != "begun\nnext\n" {
		t.Errorf("the tasks wrote %q, want each once", data)
	}
	if err := r.agent.Err(); err != nil {
		t.Errorf("the agent has failed: %v", err)
	}
}

// An agent that is stopped, or killed, while the disk is full loses nothing
// either; nor does a start on a full disk.
func TestStopAndStartOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, "16m")
	dir := t.TempDir()
	out, gate := filepath.Join(dir, "out"), filepath.Join(dir, "gate")
	r := newRig(t)
	t.Cleanup(r.stop)
	r.config.Data = filepath.Join(disk, "data")
	r.config.Drain = Duration(100 * time.Millisecond)
	r.start()
	r.push("files", map[string]string{
		"w.dig": "+a: {sh>: 'echo a >> " + out + "; while [ ! -e " + gate + " ]; do sleep 0.02; done'}\n+b: {sh>: echo b >> " + out + "}\n" + bulk(),
	})
	id := r.begin("w", time.Unix(1_700_000_000, 0))
	r.eventually("the task runs", func() bool { data, _ := os.ReadFile(out); return len(data) > 0 })
	free := fill(t, disk)
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r.log.Await(t, "no space left for the journal")
	r.stop()
	if err := r.tryStart(); err != nil {
		t.Logf("a start on a full disk is refused: %v", err)
	}
	free()
	if r.agent == nil {
		r.start()
	}
	if !r.ended(id) {
		t.Errorf("the attempt has failed\n%s", r.log)
	}
	var dump bytes.Buffer
	if err := journal.Dump(journal.OSFS(r.config.Data), &dump); err != nil {
		t.Fatal(err)
	}
	events, err := agenttest.Parse(dump.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	leases, err := agenttest.Audit(events)
	if err != nil {
		t.Error(err)
	}
	if len(leases.Alerts) > 0 {
		t.Errorf("alerts %q, want none", leases.Alerts)
	}
	data, err := os.ReadFile(out)
	if n := strings.Count(string(data), "b\n"); err != nil || n < 1 || n > 2 {
		t.Errorf("the tasks wrote %q, %v, want b once, or twice if its result was not accepted", data, err)
	}
}

// A push that the disk has no room for can be made again.
func TestPushOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, "16m")
	r := newPushRig(t)
	t.Cleanup(r.stop) // before the unmount
	r.config.Data = filepath.Join(disk, "data")
	r.start()
	r.pushed("etl", "r1", map[string]string{"w.dig": "+a: {echo>: a}\n"})
	archive := packed(t, map[string]string{"w.dig": "+a: {echo>: b}\n", "big": string(noise(1 << 20))})
	free := fill(t, disk)
	a := r.upload("etl", "r2", archive)
	if a.status != http.StatusServiceUnavailable || strings.Contains(a.Message, r.config.Data) {
		t.Errorf("got %+v, want 503 without a path", a)
	}
	if got := r.revision("etl"); got != "r1" {
		t.Errorf("revision %s is live, want r1", got)
	}
	free()
	r.eventually("the push is taken", func() bool { return r.upload("etl", "r2", archive).status == http.StatusOK })
	if got := r.revision("etl"); got != "r2" {
		t.Errorf("revision %s is live, want r2", got)
	}
}

// Files that fill the disk while they are unpacked are removed again, and the
// push can be made later.
func TestUnpackingFillsTheDisk(t *testing.T) {
	disk := smallDisk(t, "16m")
	r := newPushRig(t)
	t.Cleanup(r.stop) // before the unmount
	r.config.Data = filepath.Join(disk, "data")
	r.start()
	r.pushed("etl", "r1", map[string]string{"w.dig": "+a: {echo>: a}\n"})
	spare := write(t, disk, "spare", string(make([]byte, 3<<20)))
	free := fill(t, disk)
	if err := os.Remove(spare); err != nil {
		t.Fatal(err)
	}
	archive := packed(t, map[string]string{"w.dig": "+a: {echo>: b}\n", "zeros": string(make([]byte, 8<<20))})
	for range 2 { // what the first has written is gone
		a := r.upload("etl", "r2", archive)
		if a.status != http.StatusServiceUnavailable || strings.Contains(a.Message, r.config.Data) {
			t.Errorf("got %+v, want 503 without a path", a)
		}
	}
	if left, err := os.ReadDir(filepath.Join(r.config.Data, "tmp", "push")); err != nil || len(left) != 0 {
		t.Errorf("%d entries are left, %v, want none", len(left), err)
	}
	r.pushed("etl", "small", map[string]string{"w.dig": "+a: {echo>: c}\n"})
	free()
	if a := r.upload("etl", "r2", archive); a.status != http.StatusOK {
		t.Errorf("with space again: got %+v, want 200", a)
	}
	if _, ok := r.startByID(r.definition("etl", "w"), "{}"); !ok {
		t.Errorf("the attempt has failed\n%s", r.log)
	}
}
