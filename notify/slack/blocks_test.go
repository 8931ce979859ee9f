package slack

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	slackgo "github.com/slack-go/slack"

	"gitdag/notify"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestEncodeGolden(t *testing.T) {
	again := failure2(notify.Receipt{})
	again.FailingSince = notify.Commit{ID: "99f00d12345", Author: "Bob", Subject: "Rename <table>"}
	again.Changes = []notify.Commit{again.FailingSince, again.Revision}
	again.Message = "Command failed with code 1\n<@U123> see <http://evil.example|here> & @channel"
	again.Duration, again.Usual, again.Next = 192*time.Second, time.Minute, again.Session.Add(24*time.Hour)
	rejected := notify.Alert{Kind: notify.Rejected, Project: "etl", Revision: again.Revision, Diagnostics: []string{"etl/a.dig:3:5: error: unknown key <x>"}}
	for name, a := range map[string]notify.Alert{
		"failed": failure1(), "failed_again": again, "recovered": recovery(notify.Receipt{}), "rejected": rejected,
	} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		if err := e.Encode(encode(a).webhook()); err != nil {
			t.Fatal(err)
		}
		// slack-go's own encoder escapes for HTML; undone, the file shows what Slack shows.
		got := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(b.String())
		path := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
}

func TestColors(t *testing.T) {
	for kind, want := range map[notify.Kind]string{
		notify.AttemptFailed: "danger", notify.SLAMissed: "warning", notify.SyncRecovered: "good", notify.Deployed: "#439fe0",
	} {
		if got := encode(notify.Alert{Kind: kind}).color; got != want {
			t.Errorf("%s: got %s, want %s", kind, got, want)
		}
	}
}

func TestEscape(t *testing.T) {
	for _, tt := range []struct {
		in   string
		n    int
		want string
	}{
		{"plain", 10, "plain"},
		{"a & b < c > d", 99, "a &amp; b &lt; c &gt; d"},
		{"<!here> <@U1> <#C1> <!subteam^S1>", 99, "&lt;!here&gt; &lt;@U1&gt; &lt;#C1&gt; &lt;!subteam^S1&gt;"},
		{"@here @channel @everyone @all @ada", 99, "@\u200bhere @\u200bchannel @\u200beveryone @\u200ball @ada"},
		{"&amp;", 99, "&amp;amp;"},
		{"abcdef", 6, "abcdef"},
		{"abcdefg", 6, "abcde…"},
		{"ab&", 6, "ab…"}, // an entity is never cut
		{"ab&", 7, "ab&amp;"},
		{"日本語日本語", 4, "日本語…"},
		{"😀😀😀", 5, "😀😀…"}, // two units each
		{"\xff", 9, "\ufffd"},
		{"a", 0, ""},
	} {
		if got := escape(tt.in, tt.n); got != tt.want {
			t.Errorf("%q to %d: got %q, want %q", tt.in, tt.n, got, tt.want)
		}
	}
}

func TestLink(t *testing.T) {
	for _, tt := range []struct{ address, want string }{
		{"", "x"},
		{"https://h/a?b=1&c=2", "<https://h/a?b=1&amp;c=2|x>"},
		{"https://h/a|b>c<d", "<https://h/a%7Cb%3Ec%3Cd|x>"},
		{"javascript:alert(1)", "x"},
		{"/relative", "x"},
		{"https://h/a b", "x"},
		{"https://h/\u2028", "x"},
		{"http://%zz", "x"},
		{"https://h/" + strings.Repeat("a", maxURL), "x"},
	} {
		if got := link(tt.address, "x"); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.address, got, tt.want)
		}
	}
}

func TestPreformatted(t *testing.T) {
	amps := strings.Repeat("&", 400) // five times as long when escaped
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"nothing", nil, ""},
		{"blank", []string{"", " "}, ""},
		{"a fence", []string{"```", "x ``` y"}, "```\n`\u200b`\u200b`\u200b\nx `\u200b`\u200b`\u200b y\n```"},
		{"a longer fence", []string{"`````"}, "```\n`\u200b`\u200b`\u200b``\n```"},
		{"no mention is made in code", []string{"@here"}, "```\n@here\n```"},
		{
			"the newest whole, the older cut",
			[]string{amps, amps, "last"},
			"```\n" + strings.Repeat("&amp;", 97) + "…\n" + strings.Repeat("&amp;", 400) + "\nlast\n```",
		},
	} {
		got := preformatted(tt.lines)
		if got != tt.want || size(got) > maxLog {
			t.Errorf("%s: got %d units %q, want %q", tt.name, size(got), got, tt.want)
		}
	}
}

func TestLongList(t *testing.T) {
	var items []string
	for range 20 {
		items = append(items, strings.Repeat("<", 250))
	}
	got := list(notify.List{Name: "Problems", Items: items, More: 5})
	if !strings.HasSuffix(got, "\nand 21 more") || size(got) > maxList+100 {
		t.Errorf("got %d units ending %q, want the rest counted", size(got), got[len(got)-20:])
	}
}

// Slack's documented limits, and nothing in the message that would be markup of others.
func FuzzEncode(f *testing.F) {
	f.Add("p", "m", "line\nline", "https://h/", int64(1))
	f.Add("<!here>&@all", "\xff<@U1>\x00```", strings.Repeat("&😀`\n", 90), "https://h/|<!channel>", int64(-1))
	f.Fuzz(func(t *testing.T, name, message, log, address string, n int64) {
		lines := strings.Split(log, "\n")
		c := notify.Commit{ID: name, Author: message, Subject: log, Link: address}
		a := notify.Alert{
			Key: name, Kind: notify.AttemptFailed, Repo: message, Project: name, Workflow: log, Task: message, Message: message + log, Link: address,
			LogTail: lines, Diagnostics: lines, Changes: []notify.Commit{c, c, c}, Revision: c, FailingSince: c,
			At: time.Unix(n, 0), Since: time.Unix(1, 0), Next: time.Unix(n, 0), Attempt: uint64(n), Count: int(n), Duration: time.Duration(n),
		}
		m := encode(a)
		if size(m.text) > maxTitle || strings.ContainsAny(m.text, "<>\n") {
			t.Errorf("text: %q", m.text)
		}
		checkBlocks(t, m)
		if block := preformatted(lines); block != "" && strings.Count(block, "```") != 2 {
			t.Errorf("a fence inside the block: %q", block)
		}
		if _, err := json.Marshal(m.webhook()); err != nil {
			t.Error(err)
		}
	})
}

func checkBlocks(t *testing.T, m message) {
	t.Helper()
	total := size(m.text)
	if len(m.items) > 50 {
		t.Errorf("%d blocks", len(m.items))
	}
	for _, b := range m.items {
		s := b.(*slackgo.SectionBlock)
		if len(s.Fields) > 10 {
			t.Errorf("%d fields", len(s.Fields))
		}
		for _, field := range s.Fields {
			total += checkText(t, field.Text, 2000)
		}
		if s.Text != nil {
			total += checkText(t, s.Text.Text, 3000)
		}
	}
	if total > 13000 {
		t.Errorf("%d units together", total)
	}
}

func checkText(t *testing.T, text string, most int) int {
	t.Helper()
	n := size(text)
	if n == 0 || n > most || !utf8.ValidString(text) {
		t.Errorf("%d units: %q", n, text)
	}
	for rest := text; ; {
		i := strings.IndexByte(rest, '<')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		if !strings.HasPrefix(rest, "http") {
			t.Errorf("markup in %q", text)
		}
	}
	for _, entity := range []string{"&amp;", "&lt;", "&gt;"} {
		text = strings.ReplaceAll(text, entity, "")
	}
	if strings.Contains(text, "&") {
		t.Errorf("a broken entity in %q", text)
	}
	return n
}
