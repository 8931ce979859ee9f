package main

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"gitdag/engine/operator"
	"gitdag/engine/operator/objectwait"
	"gitdag/engine/operator/param"
	"gitdag/engine/operator/pg"
)

// families are the operators of all packages, none of them configured.
func families() map[string]operator.Entry {
	entries := operator.Builtin()
	entries["gcs_wait"] = objectwait.GCS(objectwait.Options{})
	entries["pg"] = pg.Operator(pg.Limits{})
	entries["s3_wait"] = objectwait.S3(objectwait.Options{})
	maps.Copy(entries, param.Operators(param.Server{}, "")) // who runs tasks knows where values lie
	return entries
}

// operators are the operator types that local commands know.
func operators() *operator.Registry { return operator.NewRegistry(families()) }

// configuredOperators are the same, with what the configuration says of them
// (server.md 3.11).
func configuredOperators(config properties) (*operator.Registry, error) {
	entries := families()
	server, err := mailServer(config)
	if err != nil {
		return nil, err
	}
	entries["mail"] = operator.Mail(server)
	client, err := httpClient(config)
	if err != nil {
		return nil, err
	}
	entries["http"], entries["http_call"] = operator.HTTP(client), operator.HTTPCall(client)
	limits, err := resultLimits(config)
	if err != nil {
		return nil, err
	}
	entries["pg"] = pg.Operator(limits)
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

// httpClient reads what holds for the requests of all tasks.
func httpClient(config properties) (operator.HTTPClient, error) {
	const prefix, callPrefix = "config.http.", "config.http_call."
	r := &settings{values: config.below(prefix), prefix: prefix}
	call := &settings{values: config.below(callPrefix), prefix: callPrefix}
	c := operator.HTTPClient{
		UserAgent: r.text("user_agent", ""), MaxRedirects: r.number("max_redirects", 0),
		MaxStored:   r.number("max_stored_response_content_size", 0),
		MaxDocument: call.number("max_response_content_size", 0),
		NoTaskProxy: !r.flag("allow_user_proxy", true),
	}
	if r.flag("proxy.enabled", false) {
		proxy, err := operator.ProxyAddress(r.text("proxy.host", ""), r.number("proxy.port", 0), r.flag("proxy.tls", false))
		if err != nil {
			r.note("proxy", err.Error())
		}
		c.Proxy = proxy
	}
	return c, cmp.Or(r.err, call.err)
}

// resultLimits reads how much of a query's results is stored.
func resultLimits(config properties) (pg.Limits, error) {
	const prefix, lowPrefix = "config.pg.", "config.jdbc."
	low := &settings{values: config.below(lowPrefix), prefix: lowPrefix}
	r := &settings{values: config.below(prefix), prefix: prefix}
	number := func(name string) int {
		name = "max_store_last_results_" + name
		return r.number(name, low.number(name, 0))
	}
	limits := pg.Limits{Rows: number("rows"), Columns: number("columns"), Value: number("value_size")}
	return limits, cmp.Or(r.err, low.err)
}

// paramServer reads where `param_set>` keeps values; without a type there is no server.
func paramServer(config properties) (param.Server, error) {
	const prefix = "param_server."
	r := &settings{values: config.below(prefix), prefix: prefix}
	s := param.Server{Type: r.text("type", "")}
	if s.Type == "" {
		return s, nil
	}
	s.Host, s.Port, s.Password, s.SSL = r.text("host", ""), r.number("port", 0), r.values["password"], r.flag("ssl", false)
	if s.Type == param.PostgreSQL { // Digdag has no use for these with Redis
		s.User, s.Database = r.text("user", ""), r.text("database", "")
		s.Connect = time.Duration(r.number("loginTimeout", 0)) * time.Second
		s.Silence = time.Duration(r.number("socketTimeout", 0)) * time.Second
	}
	if r.err != nil {
		return s, r.err
	}
	if err := s.Validate(); err != nil {
		return s, fmt.Errorf("configuration: param_server: %w", err)
	}
	return s, nil
}
