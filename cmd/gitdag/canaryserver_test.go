package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// newLoopback starts a server and returns its address.
func newLoopback(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// listen serves connections until the test ends.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// refusingMail is a mail server that repeats the password which it refuses.
func refusingMail(t *testing.T) (address string) {
	return listen(t, func(c net.Conn) {
		lines := bufio.NewScanner(c)
		say := func(text string) { fmt.Fprint(c, text+"\r\n") }
		for say("220 mail.example.com"); lines.Scan(); {
			word, rest, _ := strings.Cut(lines.Text(), " ")
			switch strings.ToUpper(word) {
			case "EHLO":
				say("250-mail.example.com\r\n250 AUTH PLAIN")
			case "AUTH":
				text := strings.TrimPrefix(rest, "PLAIN ")
				plain, _ := base64.StdEncoding.DecodeString(text)
				say("535 5.7.8 no: " + text + " is " + strings.ReplaceAll(string(plain), "\x00", ":"))
			case "QUIT":
				say("221 bye")
				return
			default:
				say("250 ok")
			}
		}
	})
}

// refusingDatabase is a PostgreSQL server that repeats the password which it
// refuses.
func refusingDatabase(t *testing.T) (address string) {
	return listen(t, func(c net.Conn) {
		message := func() []byte {
			var size [4]byte
			if _, err := io.ReadFull(c, size[:]); err != nil {
				return nil
			}
			body := make([]byte, binary.BigEndian.Uint32(size[:])-4)
			_, _ = io.ReadFull(c, body)
			return body
		}
		send := func(kind byte, body string) {
			data := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
			_, _ = c.Write(append(data, body...))
		}
		message() // the start of the session
		send('R', "\x00\x00\x00\x03")
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			return
		}
		password := strings.TrimRight(string(message()), "\x00")
		send('E', "SFATAL\x00C28P01\x00Mno: "+password+" in SELECT '"+password+"'\x00Dit was "+password+"\x00\x00")
	})
}
