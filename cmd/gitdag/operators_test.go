package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/operator"
	"gitdag/notify/mail/mailtest"
)

func TestMailServerOfTheConfiguration(t *testing.T) {
	config := properties{}
	config.read("config.mail.host=h\nconfig.mail.port=587\nconfig.mail.username=u\nconfig.mail.password=\\ p\nconfig.mail.tls=false\n" +
		"config.mail.ssl=true\nconfig.mail.debug=true\nconfig.mail.from=a@x\nconfig.mail.subject=s")
	want := operator.MailServer{
		Host: "h", Port: 587, Username: "u", Password: " p", SSL: true, Debug: true, From: "a@x", Subject: "s",
	}
	if got, err := mailServer(config); err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", err, cmp.Diff(want, got))
	}
	if got, err := mailServer(properties{}); err != nil || !cmp.Equal(got, operator.MailServer{TLS: true}) {
		t.Errorf("without any: got %+v, %v", got, err)
	}
	for key, want := range map[string]string{
		"port": `configuration: config.mail.port: must be a number of 0 or more, not "x"`,
		"ssl":  `configuration: config.mail.ssl: must be true or false, not "x"`,
	} {
		if _, err := configuredOperators(properties{"config.mail." + key: "x"}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestMailOfARun(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{User: "joe", Password: "canary-pw", Answers: map[string][]string{"RCPT": {"450 later"}}})
	files := map[string]string{
		"w.dig": "+a:\n  _retry: 1\n  mail>: body.txt\n  to: ann@example.com\n  debug: true\n", "body.txt": "day ${session_date}",
		"config": strings.Join([]string{
			"config.mail.host=" + server.Host, "config.mail.port=" + strconv.Itoa(server.Port), "config.mail.from=robot@example.com",
			"config.mail.subject=${session_date}", "config.mail.username=joe", "config.mail.password=canary-pw",
		}, "\n"),
	}
	out, err := runIn(t, files, "run", "w", "-c", "config", "--session", "2031-04-05")
	if err != nil || !strings.Contains(out, `450 "later"`) || strings.Contains(out, "canary") {
		t.Errorf("%v\n%s", err, out)
	}
	list := server.Messages()
	if len(list) != 1 || !strings.Contains(list[0].Data, "\r\nday 2031-04-05") || !strings.Contains(list[0].Data, "Subject: ${session_date}\r\n") {
		t.Errorf("got %v", list)
	}
	out, err = runIn(t, files, "run", "w", "-X", "config.mail.port=x")
	if err == nil || !strings.Contains(out, "error: configuration: config.mail.port: must be a number") {
		t.Errorf("%v\n%s", err, out)
	}
}
