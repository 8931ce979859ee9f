package command

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const fionread = unix.TIOCINQ

// A program that seems to have no environment is looked at again so often.
const (
	loadingTries = 5
	loadingPause = 2 * time.Millisecond
)

// waitUnreaped returns when the child has ended; its number stays taken until
// somebody waits for it in the ordinary way.
func waitUnreaped(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// living returns those of the process groups that have a member that is no
// zombie.
func living(groups []int) []int {
	procs, err := processes()
	if err != nil { // without a table a zombie counts too
		return slices.DeleteFunc(slices.Clone(groups), func(g int) bool { return unix.Kill(-g, 0) != nil })
	}
	var alive []int
	for _, p := range procs {
		if !p.zombie && slices.Contains(groups, p.Group) && !slices.Contains(alive, p.Group) {
			alive = append(alive, p.Group)
		}
	}
	return alive
}

// processes lists the processes of this machine. Those that end meanwhile are
// left out.
func processes() ([]process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	procs := make([]process, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, err := lookProcess(pid); err == nil {
			procs = append(procs, p)
		}
	}
	return procs, nil
}

func lookProcess(pid int) (process, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, err
	}
	return parseStat(pid, stat)
}

// parseStat reads a line of /proc/PID/stat (proc_pid_stat(5)). The program's
// name, in brackets, may hold blanks and brackets.
func parseStat(pid int, stat []byte) (process, error) {
	const state, group, start = 0, 2, 19 // fields after the name
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= start {
		return process{}, fmt.Errorf("process %d: unexpected stat line %q", pid, stat)
	}
	pgrp, err := strconv.Atoi(string(fields[group]))
	if err != nil {
		return process{}, fmt.Errorf("process %d: group: %w", pid, err)
	}
	began, err := strconv.ParseUint(string(fields[start]), 10, 64)
	if err != nil {
		return process{}, fmt.Errorf("process %d: start time: %w", pid, err)
	}
	dead := fields[state][0] == 'Z' || fields[state][0] == 'X'
	return process{PID: pid, Group: pgrp, Start: began, zombie: dead}, nil
}

// environment returns the environment with which the process was started, one
// entry after each NUL. A program that is just being loaded has none for a
// moment, unlike the kernel's own threads, which are no programs.
func environment(pid int) ([]byte, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	for try := 0; ; try++ {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil || len(env) > 0 || try == loadingTries {
			return append([]byte{0}, env...), err
		}
		if _, err := os.Readlink(dir + "/exe"); err != nil {
			return nil, err
		}
		time.Sleep(loadingPause)
	}
}
