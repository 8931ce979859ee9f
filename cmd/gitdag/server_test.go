package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// ask is a command of scripts: it makes a request and prints the status, the
// headers in their order, an empty line, and the body. With ! the status must not
// be one of success.
func ask(ts *testscript.TestScript, neg bool, args []string) {
	const usage = "usage: ask [-H NAME:VALUE]... METHOD HOST:PORT/PATH"
	header := http.Header{}
	for len(args) > 1 && args[0] == "-H" {
		name, value, _ := strings.Cut(args[1], ":")
		header.Add(name, strings.TrimSpace(value))
		args = args[2:]
	}
	if len(args) != 2 {
		ts.Fatalf(usage)
	}
	req, err := http.NewRequest(args[0], "http://"+args[1], nil)
	ts.Check(err)
	req.Header = header
	res, err := http.DefaultTransport.RoundTrip(req)
	ts.Check(err)
	defer res.Body.Close()
	fmt.Fprintln(ts.Stdout(), res.Status)
	ts.Check(res.Header.Write(ts.Stdout()))
	fmt.Fprintln(ts.Stdout())
	_, err = io.Copy(ts.Stdout(), res.Body)
	ts.Check(err)
	if good := res.StatusCode/100 == 2; good == neg {
		ts.Fatalf("unexpected status %s", res.Status)
	}
}
