// Package agefile keeps secrets in Git: in a file of a project, each value
// encrypted by itself with age, so that a change of one is a change of few lines.
//
// It knows nothing of who looks for secrets. Its invariant: what it writes can be
// read by the holders of the identities alone, and no error tells a value.
//
// The file is YAML of two mappings' depth, and its values are what `age --armor`
// writes:
//
//	recipients:
//	    - age1…
//	secrets:
//	    pg.password: |
//	        -----BEGIN AGE ENCRYPTED FILE-----
//	        …
package agefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
	"gopkg.in/yaml.v3"

	"gitdag/engine/secret"
)

// Name is that of the file, beside the workflows of a project.
const Name = "secrets.age.yaml"

// maxFile bounds a file in bytes.
const maxFile = 16 << 20

// File is the content of a file. Comments, and values that are not changed, stay as
// they are.
type File struct {
	doc     yaml.Node
	to      *yaml.Node // sequence
	entries *yaml.Node // mapping
}

// New returns the content of a file for recipients.
func New(recipients []string) (*File, error) {
	f := &File{to: &yaml.Node{Kind: yaml.SequenceNode}, entries: &yaml.Node{Kind: yaml.MappingNode}}
	root := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("recipients"), f.to, text("secrets"), f.entries}}
	root.HeadComment = "Secrets of this project. Their values are encrypted with age, for the recipients:\n`gitdag secrets encrypt`, `edit` and `rotate` change them."
	f.doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}
	return f, f.SetRecipients(recipients)
}

func text(value string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(value)
	return n
}

// Parse reads the content of a file. No value is opened.
func Parse(data []byte) (*File, error) {
	f := &File{}
	if len(data) > maxFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	if err := yaml.Unmarshal(data, &f.doc); err != nil {
		return nil, err
	}
	if len(f.doc.Content) != 1 || f.doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it must be a mapping with recipients and secrets")
	}
	pairs := f.doc.Content[0].Content
	for i := 0; i < len(pairs); i += 2 {
		key, value := pairs[i], pairs[i+1]
		switch {
		case key.Value == "recipients" && value.Kind == yaml.SequenceNode && f.to == nil:
			f.to = value
		case key.Value == "secrets" && value.Kind == yaml.MappingNode && f.entries == nil:
			f.entries = value
		default:
			return nil, fmt.Errorf("line %d: it must be a mapping of recipients, a list, and secrets, a mapping", key.Line)
		}
	}
	if f.to == nil || f.entries == nil {
		return nil, errors.New("it must be a mapping with recipients and secrets")
	}
	return f, f.check()
}

func (f *File) check() error {
	if _, err := parseRecipients(f.Recipients()); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := 0; i < len(f.entries.Content); i += 2 {
		key, value := f.entries.Content[i], f.entries.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || value.Kind != yaml.ScalarNode:
			return fmt.Errorf("line %d: a secret must be a key with a text", key.Line)
		case secret.CheckKey(key.Value) != nil:
			return fmt.Errorf("line %d: %w", key.Line, secret.CheckKey(key.Value))
		case seen[key.Value]:
			return fmt.Errorf("line %d: %s is there twice", key.Line, key.Value)
		}
		seen[key.Value] = true
	}
	return nil
}

// Recipients returns for whom values are encrypted.
func (f *File) Recipients() []string {
	var list []string
	for _, n := range f.to.Content {
		list = append(list, n.Value)
	}
	return list
}

// SetRecipients has values encrypted for others from now on.
func (f *File) SetRecipients(recipients []string) error {
	if _, err := parseRecipients(recipients); err != nil {
		return err
	}
	f.to.Content, f.to.Style = nil, 0
	for _, r := range recipients {
		f.to.Content = append(f.to.Content, text(r))
	}
	return nil
}

func parseRecipients(list []string) ([]age.Recipient, error) {
	if len(list) == 0 {
		return nil, errors.New("there is no recipient")
	}
	recipients := make([]age.Recipient, len(list))
	for i, text := range list {
		if strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-") {
			return nil, errors.New("a recipient is an identity, which must stay secret: the public key belongs there, which `age-keygen -y` tells")
		}
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, fmt.Errorf("recipient %.80q: %w", text, err)
		}
		recipients[i] = r
	}
	return recipients, nil
}

// Keys returns the keys of all secrets, sorted.
func (f *File) Keys() []string {
	var keys []string
	for i := 0; i < len(f.entries.Content); i += 2 {
		keys = append(keys, f.entries.Content[i].Value)
	}
	slices.Sort(keys)
	return keys
}

// find returns where the key stands; -1 if it is not there.
func (f *File) find(key string) int {
	for i := 0; i < len(f.entries.Content); i += 2 {
		if f.entries.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// Has tells whether there is a secret of this key.
func (f *File) Has(key string) bool { return f.find(key) >= 0 }

// Open decrypts the secret of a key that is there.
func (f *File) Open(key string, identities Identities) (string, error) {
	at := f.find(key)
	if at < 0 {
		return "", fmt.Errorf("there is no secret %s", key)
	}
	if len(identities.list) == 0 {
		return "", errors.New("no age identity is configured to decrypt it with")
	}
	sealed := strings.TrimSpace(f.entries.Content[at+1].Value)
	plain, err := age.Decrypt(armor.NewReader(strings.NewReader(sealed)), identities.list...)
	if none := new(age.NoIdentityMatchError); errors.As(err, &none) {
		return "", fmt.Errorf("no identity of %s can decrypt it", strings.Join(identities.files, ", "))
	}
	var value []byte
	if err == nil {
		value, err = io.ReadAll(io.LimitReader(plain, secret.MaxValue+1))
	}
	if err != nil { // age's own words quote what is there
		return "", errors.New("its value is damaged, or not what `age --armor` writes")
	}
	if err := secret.CheckValue(key, string(value)); err != nil {
		return "", err
	}
	return string(value), nil
}

// Seal puts a secret in place of what the key had.
func (f *File) Seal(key, value string) error {
	if err := errors.Join(secret.CheckKey(key), secret.CheckValue(key, value)); err != nil {
		return err
	}
	recipients, err := parseRecipients(f.Recipients())
	if err != nil {
		return err
	}
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, recipients...)
	if err == nil {
		_, err = io.WriteString(w, value)
		err = errors.Join(err, w.Close(), armored.Close())
	}
	if err != nil {
		return fmt.Errorf("encrypt secret %s: %w", key, err)
	}
	sealed := text(out.String())
	sealed.Style = yaml.LiteralStyle
	if at := f.find(key); at >= 0 {
		f.entries.Content[at+1] = sealed
		return nil
	}
	f.entries.Style = 0
	f.entries.Content = append(f.entries.Content, text(key), sealed)
	return nil
}

// Delete removes a secret.
func (f *File) Delete(key string) {
	if at := f.find(key); at >= 0 {
		f.entries.Content = slices.Delete(f.entries.Content, at, at+2)
	}
}

// Bytes returns the content of the file.
func (f *File) Bytes() ([]byte, error) { return yaml.Marshal(&f.doc) }
