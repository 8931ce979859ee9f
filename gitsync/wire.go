package gitsync

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// request is what a fetching child reads from its standard input, once. The
// input stays open: its end tells the child that the parent is gone.
type request struct {
	Op     string // opList or opFetch
	Repo   Repo
	Bearer bool // the token goes as Bearer
	Idle   time.Duration
	Total  time.Duration
	Memory int64
	Depth  int
	Limits Limits
	Query  wireQuery
}

// wireQuery is a Query without what cannot be sent.
type wireQuery struct {
	Work      string
	Checkouts string
	Commit    string
	Live      []LiveProject
	Restore   []string
}

const (
	opList  = "list"
	opFetch = "fetch"
)

// answer is one line of a child's standard output: any number of phases, then
// one of the others.
type answer struct {
	Phase   string   `json:",omitempty"`
	Tip     *Tip     `json:",omitempty"`
	Fetched *Fetched `json:",omitempty"`
	Failure *failure `json:",omitempty"`
}

type failure struct {
	Message    string
	RetryAfter time.Duration
}

// maxAnswerBytes bounds what a parent reads of a child.
const maxAnswerBytes = 64 << 20

// answers writes a child's answers.
type answers struct {
	mu  sync.Mutex
	out *json.Encoder
}

func newAnswers(w io.Writer) *answers { return &answers{out: json.NewEncoder(w)} }

func (a *answers) phase(format string, args ...any) {
	a.send(answer{Phase: fmt.Sprintf(format, args...)})
}

// send ignores errors: a parent that does not listen is gone.
func (a *answers) send(v answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.out.Encode(v)
}
