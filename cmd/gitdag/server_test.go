package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// ask is a command of scripts: it makes a request and prints the status, the
// headers in their order, an empty line, and the body. With ! the status must not
// be one of success. main@FILE and admin@FILE are the addresses that a server has
// written down as its runtime information.
func ask(ts *testscript.TestScript, neg bool, args []string) {
	const usage = "usage: ask [-H NAME:VALUE]... METHOD HOST:PORT/PATH or main@FILE/PATH or admin@FILE/PATH"
	header := http.Header{}
	for len(args) > 1 && args[0] == "-H" {
		name, value, _ := strings.Cut(args[1], ":")
		header.Add(name, strings.TrimSpace(value))
		args = args[2:]
	}
	if len(args) != 2 {
		ts.Fatalf(usage)
	}
	host, path, _ := strings.Cut(args[1], "/")
	if list, file, ok := strings.Cut(host, "@"); ok {
		host = addressIn(ts, list, file)
	}
	req, err := http.NewRequest(args[0], "http://"+host+"/"+path, nil)
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

// addressIn returns an address of runtime information.
func addressIn(ts *testscript.TestScript, list, file string) string {
	var info map[string][]struct {
		Host string `json:"host"`
		Port int    `json:"port"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &info))
	addresses := info[map[string]string{"main": "local_addresses", "admin": "local_admin_addresses"}[list]]
	if len(addresses) != 1 {
		ts.Fatalf("%s: got %v, want one address", file, addresses)
	}
	return net.JoinHostPort(addresses[0].Host, strconv.Itoa(addresses[0].Port))
}
