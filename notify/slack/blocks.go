package slack

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	slackgo "github.com/slack-go/slack"

	"gitdag/notify"
)

// Limits in Slack's characters, counted after escaping. A section may hold 3,000 and a
// message's blocks about 13,200 together; these add up to less.
const (
	maxTitle  = 1000
	maxFact   = 350
	maxURL    = 500
	maxFacts  = 10 // fields of a section
	maxText   = 1500
	maxList   = 1500
	maxLog    = 2500
	ellipsis  = "…"
	zeroWidth = "\u200b"
)

// message is an alert in Slack's terms: a line of text, which notifications show, and
// an attachment, whose only merit over plain blocks is its colour.
type message struct {
	text  string
	color string
	items []slackgo.Block
	meta  slackgo.SlackMetadata
}

// encode renders an alert. It is a function of the alert alone.
func encode(a notify.Alert) message {
	m := notify.Render(a)
	return message{
		text:  escape(m.Title, maxTitle),
		color: color(m.Tone),
		items: blocks(m),
		meta: slackgo.SlackMetadata{
			EventType:    "gitdag_alert",
			EventPayload: map[string]any{"key": a.Key, "kind": string(a.Kind), "incident": a.Incident()},
		},
	}
}

// short is the message without its attachment and metadata.
func (m message) short() message { return message{text: m.text} }

func (m message) bare() bool { return len(m.items) == 0 }

// attachments is never nil: an update with an empty list removes those of before.
func (m message) attachments() []slackgo.Attachment {
	if m.bare() {
		return []slackgo.Attachment{}
	}
	return []slackgo.Attachment{{Color: m.color, Fallback: m.text, Blocks: slackgo.Blocks{BlockSet: m.items}}}
}

func (m message) options() []slackgo.MsgOption {
	o := []slackgo.MsgOption{
		slackgo.MsgOptionText(m.text, false),
		slackgo.MsgOptionAttachments(m.attachments()...),
	}
	if m.meta.EventType != "" {
		o = append(o, slackgo.MsgOptionMetadata(m.meta))
	}
	return o
}

func (m message) webhook() *slackgo.WebhookMessage {
	no := false
	return &slackgo.WebhookMessage{Text: m.text, Attachments: m.attachments(), UnfurlLinks: &no, UnfurlMedia: &no}
}

func color(t notify.Tone) string {
	switch t {
	case notify.Bad:
		return "danger"
	case notify.Warning:
		return "warning"
	case notify.Good:
		return "good"
	default:
		return "#439fe0"
	}
}

func blocks(m notify.Message) []slackgo.Block {
	var out []slackgo.Block
	if fields := fields(m.Facts); len(fields) > 0 {
		out = append(out, slackgo.NewSectionBlock(nil, fields, nil))
	}
	if m.Text != "" {
		out = append(out, section(escape(m.Text, maxText)))
	}
	for _, l := range m.Lists {
		out = append(out, section(list(l)))
	}
	if log := preformatted(m.Log); log != "" {
		out = append(out, section(log))
	}
	return out
}

func section(text string) slackgo.Block {
	return slackgo.NewSectionBlock(markdown(text), nil, nil)
}

func markdown(text string) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.MarkdownType, text, false, false)
}

func fields(facts []notify.Fact) []*slackgo.TextBlockObject {
	var out []*slackgo.TextBlockObject
	for _, f := range facts[:min(len(facts), maxFacts)] {
		value := link(f.Link, escape(f.Value, maxFact))
		out = append(out, markdown("*"+escape(f.Name, maxFact)+"*\n"+value))
	}
	return out
}

func list(l notify.List) string {
	var b strings.Builder
	b.WriteString("*" + escape(l.Name, maxFact) + "*")
	room, more := maxList, l.More
	for _, item := range l.Items {
		line := "\n• " + escape(item, maxFact)
		if room -= size(line); room < 0 {
			more++
			continue
		}
		b.WriteString(line)
	}
	if more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	return b.String()
}

// preformatted keeps the last lines that fit. A fence inside would end the block.
func preformatted(lines []string) string {
	var kept []string
	room := maxLog - len("```\n```")
	for _, line := range slices.Backward(lines) {
		if room < 2 {
			break
		}
		line = strings.ReplaceAll(line, "```", strings.Repeat("`"+zeroWidth, 3))
		line = escapeOnly(line, room-1)
		room -= size(line) + 1
		kept = append(kept, line)
	}
	slices.Reverse(kept)
	text := strings.Join(kept, "\n")
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return "```\n" + text + "\n```"
}

// link makes a link of an http address; the label is escaped already. Any other
// address, or one too long to be whole, leaves the label alone.
func link(address, label string) string {
	u, err := url.Parse(address)
	if address == "" || err != nil || !isHTTP(u) || strings.ContainsFunc(address, unsafeInLink) {
		return label
	}
	address = strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C").Replace(address)
	if size(address) > maxURL {
		return label
	}
	return "<" + address + "|" + label + ">"
}

func unsafeInLink(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar
}

// escape makes text inert: Slack's three characters, and the names that clients and
// imitations of Slack turn into a call to everyone. It cuts to n characters.
func escape(s string, n int) string {
	return escapeOnly(mentions(s), n)
}

func mentions(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	for _, name := range []string{"here", "channel", "everyone", "all"} {
		s = strings.ReplaceAll(s, "@"+name, "@"+zeroWidth+name)
	}
	return s
}

func escapeOnly(s string, n int) string {
	var b strings.Builder
	used, cut := 0, 0 // cut: where to end so that an ellipsis still fits
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		piece := string(r)
		switch r {
		case '&':
			piece = "&amp;"
		case '<':
			piece = "&lt;"
		case '>':
			piece = "&gt;"
		}
		if used += size(piece); used > n {
			if n < 1 {
				return ""
			}
			return b.String()[:cut] + ellipsis
		}
		b.WriteString(piece)
		if used < n {
			cut = b.Len()
		}
	}
	return b.String()
}

// size counts as Slack's limits do at the strictest: UTF-16 units.
func size(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}
