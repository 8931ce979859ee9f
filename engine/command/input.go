package command

import "os"

// input is where a program's standard input comes from: nowhere, or through a
// pipe that a goroutine fills.
type input struct {
	child *os.File
	text  []byte
	write *os.File // our end of the pipe; nil without one
	done  chan struct{}
}

func openInput(text []byte) (*input, error) {
	if text == nil {
		null, err := os.Open(os.DevNull)
		return &input{child: null}, err
	}
	child, w, err := os.Pipe()
	return &input{child: child, text: text, write: w, done: make(chan struct{})}, err
}

// started tells that the program has its end, or that it did not start.
func (in *input) started(ok bool) {
	in.child.Close()
	switch {
	case in.write == nil:
	case ok:
		go func() { // ends by settle at the latest
			defer close(in.done)
			// A program need not read what it is told.
			_, _ = in.write.Write(in.text)
			in.write.Close()
		}()
	default:
		in.write.Close()
	}
}

// settle returns when nothing is written any more, read or not: the program has
// ended.
func (in *input) settle() {
	if in.write == nil {
		return
	}
	in.write.Close()
	<-in.done
}
