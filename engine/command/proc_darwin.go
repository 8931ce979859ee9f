package command

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	fionread = 0x4004667f // FIONREAD, which x/sys does not name here
	zombie   = 5          // SZOMB of sys/proc.h
)

// waitUnreaped returns when the child has ended; its number stays taken until
// somebody waits for it in the ordinary way. The wait is a kqueue's, because
// there is no waitid to call without the C library.
func waitUnreaped(pid int) error {
	queue, err := unix.Kqueue()
	if err != nil {
		return err
	}
	defer unix.Close(queue)
	change := unix.Kevent_t{Fflags: unix.NOTE_EXIT}
	unix.SetKevent(&change, pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	events := make([]unix.Kevent_t, 1)
	for {
		n, err := unix.Kevent(queue, []unix.Kevent_t{change}, events, nil)
		switch {
		case err == unix.ESRCH, err == nil && n > 0:
			return nil // ended, before or after we asked
		case err != nil && err != unix.EINTR:
			return err
		}
	}
}

// living returns those of the process groups that have a member that is no
// zombie: only such a group can be signalled here.
func living(groups []int) []int {
	return slices.DeleteFunc(slices.Clone(groups), func(g int) bool { return unix.Kill(-g, 0) != nil })
}

// processes lists the processes of this machine.
func processes() ([]process, error) {
	table, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil, err
	}
	procs := make([]process, len(table))
	for i := range table {
		procs[i] = processOf(&table[i])
	}
	return procs, nil
}

func lookProcess(pid int) (process, error) {
	entry, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return process{}, err
	}
	p := processOf(entry)
	if p.PID != pid {
		return process{}, fmt.Errorf("process %d: %w", pid, unix.ESRCH)
	}
	return p, nil
}

func processOf(k *unix.KinfoProc) process {
	began := k.Proc.P_starttime
	return process{
		PID: int(k.Proc.P_pid), Group: int(k.Eproc.Pgid),
		Start:  uint64(began.Sec)*1e6 + uint64(began.Usec),
		zombie: k.Proc.P_stat == zombie,
	}
}

// environment returns the arguments and the environment with which the process
// was started, each after a NUL. The system tells it of the user's own
// processes only, and not of its own programs.
func environment(pid int) ([]byte, error) {
	return unix.SysctlRaw("kern.procargs2", pid)
}
