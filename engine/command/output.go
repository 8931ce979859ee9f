package command

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// output is where a program's output goes: straight into a file, or through a
// pipe that a goroutine empties.
type output struct {
	child *os.File
	owned bool // child is ours to close once the program has it
	dst   io.Writer
	read  *os.File // our end of the pipe; nil without one
	done  chan error
}

func openOutput(dst io.Writer) (*output, error) {
	switch w := dst.(type) {
	case nil:
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		return &output{child: null, owned: true}, err
	case *os.File:
		return &output{child: w}, nil
	case interface{ File() (*os.File, error) }:
		f, err := w.File()
		if errors.Is(err, errors.ErrUnsupported) {
			return openPipe(dst)
		}
		return &output{child: f}, err
	default:
		return openPipe(dst)
	}
}

func openPipe(dst io.Writer) (*output, error) {
	r, child, err := os.Pipe()
	return &output{child: child, owned: true, dst: dst, read: r, done: make(chan error, 1)}, err
}

// started tells that the program has its end, or that it did not start.
func (o *output) started(ok bool) {
	if o.owned {
		o.child.Close()
	}
	switch {
	case o.read == nil:
	case ok:
		go func() { o.done <- o.copy() }() // ends by settle
	default:
		o.read.Close()
	}
}

// settle returns when everything that the program wrote is in its place.
func (o *output) settle() error {
	if o.read == nil {
		return nil
	}
	defer o.read.Close()
	if err := o.read.SetReadDeadline(time.Now().Add(settleWait)); err != nil {
		return err
	}
	return <-o.done
}

func (o *output) copy() error {
	_, err := io.Copy(o.dst, o.read)
	if err == nil {
		return nil
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		// The program goes on although nobody keeps what it prints.
		_, _ = io.Copy(io.Discard, o.read)
		return err
	}
	// Somebody else still holds the pipe, or dst is slow. What the program
	// wrote is read already or in the pipe now, which never blocks.
	left, err := unread(o.read)
	if err != nil || left == 0 {
		return err
	}
	if err := o.read.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	_, err = io.CopyN(o.dst, o.read, int64(left))
	return err
}

// unread returns the number of bytes in the pipe.
func unread(pipe *os.File) (n int, err error) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return 0, err
	}
	ctlErr := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), fionread) })
	return n, errors.Join(ctlErr, err)
}
