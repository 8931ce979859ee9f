package main

import (
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// supervisor tells systemd how the agent is, over the socket that it names in
// NOTIFY_SOCKET. Without one it does nothing. A message that is lost is no
// error of ours: systemd's own time limits deal with silence.
type supervisor struct {
	socket string
	every  time.Duration
}

func newSupervisor(environ []string) *supervisor {
	s := &supervisor{}
	pid := ""
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch name {
		case "NOTIFY_SOCKET":
			s.socket = value
		case "WATCHDOG_USEC":
			if us, err := strconv.ParseInt(value, 10, 64); err == nil {
				s.every = time.Duration(us) * time.Microsecond / 2
			}
		case "WATCHDOG_PID":
			pid = value
		}
	}
	if pid != "" && pid != strconv.Itoa(os.Getpid()) {
		s.every = 0
	}
	return s
}

func (s *supervisor) ready()    { s.send("READY=1") }
func (s *supervisor) stopping() { s.send("STOPPING=1") }
func (s *supervisor) alive()    { s.send("WATCHDOG=1") }

// watchdog ticks when systemd wants to hear that the agent lives; never, if it
// does not.
func (s *supervisor) watchdog() <-chan time.Time {
	if s.socket == "" || s.every <= 0 {
		return nil
	}
	return time.Tick(s.every)
}

func (s *supervisor) send(text string) {
	if s.socket == "" {
		return
	}
	name := s.socket
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write([]byte(text))
}
