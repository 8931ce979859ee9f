package main

import "gitdag/engine/operator"

// operators are the operator types that local commands know.
func operators() *operator.Registry { return operator.NewRegistry(operator.Builtin()) }

// configuredOperators are the same, with what the configuration says of them
// (server.md 3.11).
func configuredOperators(config properties) (*operator.Registry, error) {
	entries := operator.Builtin()
	server, err := mailServer(config)
	if err != nil {
		return nil, err
	}
	entries["mail"] = operator.Mail(server)
	return operator.NewRegistry(entries), nil
}

// mailServer reads the mail server for tasks that name none.
func mailServer(config properties) (operator.MailServer, error) {
	const prefix = "config.mail."
	r := &settings{values: config.below(prefix), prefix: prefix}
	s := operator.MailServer{
		Host: r.text("host", ""), Port: r.number("port", 0), Username: r.text("username", ""), Password: r.values["password"],
		TLS: r.flag("tls", true), SSL: r.flag("ssl", false), Debug: r.flag("debug", false),
		From: r.text("from", ""), Subject: r.text("subject", ""),
	}
	return s, r.err
}
