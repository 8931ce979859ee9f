package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bareShell returns how long fork, exec and wait of the shell take for a script
// that does nothing, its output in a file, as sh> starts it.
func bareShell(b *testing.B, n int) time.Duration {
	b.Helper()
	dir := b.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("true"), 0o644); err != nil {
		b.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	begin := time.Now()
	for range n {
		cmd := exec.Command("/bin/sh", script)
		cmd.Stdout, cmd.Stderr = out, out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begin) / time.Duration(n)
}

// bareSync returns how long it takes to append some bytes to a file and to have
// them synced.
func bareSync(b *testing.B, n int) time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	data := []byte(strings.Repeat("x", 400))
	begin := time.Now()
	for range n {
		if _, err := f.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begin) / time.Duration(n)
}

// memory returns the largest and the present resident size of a process in
// megabytes.
func memory(b *testing.B, pid int) (most, now float64) {
	b.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		kb, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch name {
		case "VmHWM":
			most = kb / 1024
		case "VmRSS":
			now = kb / 1024
		}
	}
	return most, now
}

// processor returns the processor time that a process has used.
func processor(b *testing.B, pid int) time.Duration {
	b.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// once runs a program to its end; it returns how long that took and the most
// memory that it had, in megabytes.
func once(b *testing.B, dir string, env []string, program string, args ...string) (took time.Duration, most float64) {
	b.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GITDAG_CONFIG_HOME="+b.TempDir()), env...) // no secrets of whoever measures
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	took = time.Since(begin)
	if err != nil {
		b.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		b.Fatal("no resource usage")
	}
	return took, float64(usage.Maxrss) / 1024
}

// runTo runs a program to its end with its output in a file.
func runTo(out *os.File, dir, program string, args ...string) (time.Duration, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	begin := time.Now()
	err := cmd.Run()
	return time.Since(begin), err
}

// median returns the middle one of n measurements.
func median(n int, measure func() (time.Duration, float64)) (time.Duration, float64) {
	var times []time.Duration
	var sizes []float64
	for range n {
		t, s := measure()
		times, sizes = append(times, t), append(sizes, s)
	}
	slices.Sort(times)
	slices.Sort(sizes)
	return times[n/2], sizes[n/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// writtenBy returns how many bytes a process has written, wherever to.
func writtenBy(t testing.TB, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/io")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "wchar: "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no count of bytes")
	return 0
}

// bareCopies returns how long it takes to make a folder with some small files
// so many times in a directory: what workspaces cost at least.
func bareCopies(b *testing.B, dir string, copies, files int) time.Duration {
	b.Helper()
	begin := time.Now()
	for i := range copies {
		to := filepath.Join(dir, "bare"+strconv.Itoa(i))
		if err := os.Mkdir(to, 0o755); err != nil {
			b.Fatal(err)
		}
		for k := range files {
			if err := os.WriteFile(filepath.Join(to, strconv.Itoa(k)), []byte("+a: {sh>: 'true'}\n"), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	return time.Since(begin)
}
