package dig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"gitdag/engine/params"
)

// maxBytes bounds a workflow's file together with all that it includes, before anything is parsed.
const maxBytes = 1 << 20

// document is one parsed file. It is shared by all files that include it and never changed once it is loaded.
type document struct {
	path string
	m    *params.Map // nil if there is no mapping to show for it
	size converted
	// failed tells that errors were reported for it; incomplete that parts of it are missing, so that what else
	// seems wrong with it may not be.
	failed, incomplete bool
	// files are the bytes of this file and all that it includes.
	files map[string]int64
	open  bool // its includes are being resolved
}

func (d *document) bytes() int64 {
	var sum int64
	for _, n := range d.files {
		sum += n
	}
	return sum
}

// loader reads the files of one project.
type loader struct {
	root    *os.Root
	docs    map[string]*document
	places  places
	reports reports
	chain   []*document // the files that are being read, each included by the one before
	// operators are those that were looked for in the project.
	operators map[string]ownOperator

	// work and exhausted are the budget of the workflow that is being loaded.
	work      int64
	exhausted bool
}

func newLoader(root *os.Root) *loader {
	return &loader{root: root, docs: map[string]*document{}, places: places{}, operators: map[string]ownOperator{}}
}

func (l *loader) report(s Severity, at place, key, message, hint string) {
	if len(l.chain) > 1 && at.file == l.chain[len(l.chain)-1].path {
		message += fmt.Sprintf(" (included by %s)", l.chain[0].path)
	}
	l.reports.add(Diagnostic{
		File: at.file, Line: int(at.line), Column: int(at.column),
		Severity: s, Key: key, Message: message, Hint: hint,
	})
}

// load reads a file that nothing includes.
func (l *loader) load(name string) *document {
	l.work, l.exhausted = 0, false
	if doc, ok := l.docs[name]; ok {
		return doc
	}
	return l.read(name, func(message, hint string) {
		l.report(Error, place{file: name, line: 1, column: 1}, "", message, hint)
	})
}

// include reads the file that the value of an !include key names. The path is relative to the including file's
// directory and may not leave it. Nil means that there is none, which has been reported.
func (l *loader) include(c *converter, value *yaml.Node) *document {
	fail := func(message, hint string) { c.errorf(value, includeTag, hint, "%s", message) }
	written := value.Value
	if !filepath.IsLocal(written) || strings.Contains(written, `\`) || strings.Contains("/"+written+"/", "/../") {
		fail(fmt.Sprintf("file not found: %s must not be absolute nor include ..", written), "")
		return nil
	}
	name := path.Join(path.Dir(c.doc.path), written)
	doc, ok := l.docs[name]
	if ok && doc.open {
		fail("include cycle: "+l.cycle(doc), "")
		return nil
	}
	if !ok {
		if doc = l.read(name, fail); doc == nil {
			return nil
		}
	}
	for file, n := range doc.files {
		c.doc.files[file] = n
	}
	if c.doc.bytes() > maxBytes {
		fail(fmt.Sprintf("the file and its includes exceed %d MiB", maxBytes>>20), "")
		return nil
	}
	return doc
}

// cycle names the files from the open document on and back to it.
func (l *loader) cycle(doc *document) string {
	var names []string
	for _, d := range l.chain[slices.Index(l.chain, doc):] {
		names = append(names, d.path)
	}
	return strings.Join(append(names, doc.path), " -> ")
}

// read parses and converts a file that is not loaded yet. Fail reports that it cannot be opened.
func (l *loader) read(name string, fail func(message, hint string)) *document {
	budget := int64(maxBytes)
	for _, d := range l.chain {
		budget -= d.bytes()
	}
	text, err := l.slurp(name, budget)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fail("file not found: "+name, l.nearFile(name))
		return nil
	case err != nil:
		fail(err.Error(), "")
		return nil
	}
	doc := &document{path: name, open: true, files: map[string]int64{name: int64(len(text))}}
	l.docs[name] = doc
	l.chain = append(l.chain, doc)
	l.parse(doc, text)
	l.chain = l.chain[:len(l.chain)-1]
	doc.open = false
	return doc
}

func (l *loader) parse(doc *document, text []byte) {
	root, syntax := parseYAML(text)
	if syntax != nil {
		doc.failed, doc.incomplete = true, true
		at := place{file: doc.path, line: int32(syntax.line), column: int32(syntax.column)}
		l.report(Error, at, "", syntax.message, syntax.hint)
		return
	}
	c := &converter{loader: l, doc: doc, done: map[*yaml.Node]converted{}, open: map[*yaml.Node]bool{}}
	if root == nil {
		root = &yaml.Node{Line: 1, Column: 1, Kind: yaml.ScalarNode}
	}
	if root.Kind != yaml.MappingNode {
		doc.incomplete = true
		c.errorf(root, "", "", "the file must be a mapping of keys to values, it is %s", describe(root))
		return
	}
	doc.size = c.value(root, 0)
	doc.m, _ = doc.size.value.(*params.Map)
	if doc.m == nil || l.exhausted {
		doc.incomplete = true
	}
}

func describe(root *yaml.Node) string {
	switch {
	case root.Kind == yaml.SequenceNode:
		return "a list"
	case root.Kind == yaml.ScalarNode && root.Value == "":
		return "empty"
	}
	return "a text"
}

// slurp returns the content of a regular file of at most limit bytes.
func (l *loader) slurp(name string, limit int64) ([]byte, error) {
	file := filepath.FromSlash(name)
	info, err := l.root.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, cause(err))
	}
	if !info.Mode().IsRegular() { // asked before it is opened: a named pipe would wait for a writer
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := l.root.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, cause(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, cause(err))
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s is too large: a workflow may have %d MiB with all that it includes", name, maxBytes>>20)
	}
	return text, nil
}

// cause takes the path, which the message has already, off a file system error.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// nearFile is a hint at a file of the same directory with a similar name.
func (l *loader) nearFile(name string) string {
	dir, err := l.root.Open(filepath.FromSlash(path.Dir(name)))
	if err != nil {
		return ""
	}
	defer dir.Close()
	const enough = 1000
	names, _ := dir.Readdirnames(enough) // a hint is not worth an error
	slices.Sort(names)
	return DidYouMean(path.Base(name), names)
}
