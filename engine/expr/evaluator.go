package expr

import (
	"context"
	runtimes "runtime"
	"strings"
	"sync"
	"time"

	"gitdag/engine/params"
)

// Options set up an Evaluator.
type Options struct {
	Warm      int           // JavaScript runtimes of each kind kept for the next task; 0 for one a processor; 4 at most
	TimeLimit time.Duration // for one text; 0 for a second
}

// Evaluator evaluates templates. It may be used by many goroutines.
type Evaluator struct {
	options Options
	cache   cache
	pool    *pool
}

// New returns an Evaluator, which starts nothing before the first text that needs JavaScript.
func New(options Options) *Evaluator {
	if options.TimeLimit == 0 {
		options.TimeLimit = time.Second
	}
	if options.Warm == 0 {
		options.Warm = runtimes.GOMAXPROCS(0)
	}
	return &Evaluator{options: options, pool: newPool(options.Warm)}
}

// Close lets go of the runtimes that are kept.
func (e *Evaluator) Close() { e.pool.empty() }

// Scope is what the texts of one task see.
type Scope struct {
	Outer *params.Map    // the layers without the task's own keys; its texts are seen raw
	Local *params.Map    // the task's own keys, which are evaluated over Outer
	Zone  *time.Location // the workflow's, for Date and moment
}

// Error says why a text could not be evaluated. Its wording is Digdag's.
type Error struct {
	Text   string // the whole text
	Reason string // the JavaScript error: its kind and message
}

func (e *Error) Error() string {
	return "Failed to evaluate a variable " + e.Text + " (" + e.Reason + ")"
}

// Evaluate returns Outer merged with Local, every Template in it replaced by the data it evaluates to. Keys are visited
// in order, and a text sees Outer overlaid with the keys of its own object that are finished (L19). What stands under
// _do and _else_do is returned as it is. The error is an *Error, or the context's.
func (e *Evaluator) Evaluate(ctx context.Context, scope Scope) (*params.Map, error) {
	s := e.session(scope.Outer, scope.Zone)
	defer s.end()
	return s.object(ctx, params.Merge(scope.Outer, scope.Local))
}

// Text evaluates the text of a file over vars, whose own texts are seen raw.
func (e *Evaluator) Text(ctx context.Context, text string, vars *params.Map, zone *time.Location) (string, error) {
	s := e.session(vars, zone)
	defer s.end()
	return s.text(ctx, text, nil)
}

func (e *Evaluator) session(outer *params.Map, zone *time.Location) *session {
	if zone == nil {
		zone = time.UTC
	}
	return &session{evaluator: e, outer: outer, zone: zone}
}

// A session evaluates the texts of one task, whose runtimes serve no other meanwhile.
type session struct {
	evaluator *Evaluator
	outer     *params.Map
	zone      *time.Location
	runtimes  [2]*runtime // by kind
}

func (s *session) end() {
	for _, r := range s.runtimes {
		if r != nil {
			s.evaluator.pool.giveBack(r, true)
		}
	}
}

func (s *session) object(ctx context.Context, m *params.Map) (*params.Map, error) {
	built := params.NewMap(m.Len())
	for key, value := range m.All() {
		if key != "_do" && key != "_else_do" {
			var err error
			if value, err = s.value(ctx, value, built); err != nil {
				return nil, err
			}
		}
		built.Set(key, value)
	}
	return built, nil
}

// value evaluates v, which stands in the object of which built is finished.
func (s *session) value(ctx context.Context, v any, built *params.Map) (any, error) {
	switch v := v.(type) {
	case params.Template:
		return s.text(ctx, string(v), built)
	case *params.Map:
		return s.object(ctx, v)
	case params.List:
		out := make(params.List, len(v))
		for i, item := range v {
			var err error
			if out[i], err = s.value(ctx, item, built); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// maxResult bounds what one text may grow to.
const maxResult = 16 << 20

func (s *session) text(ctx context.Context, text string, built *params.Map) (string, error) {
	if !strings.Contains(text, "$") {
		return text, nil
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	run := execution{session: s, text: text, scope: layers{outer: s.outer, built: built}}
	defer run.end()
	var out strings.Builder
	for piece := range pieces(text) {
		part := piece.text
		if piece.code {
			var err error
			if part, err = run.evaluate(ctx, piece.text); err != nil {
				return "", failure(ctx, text, err)
			}
		}
		if out.Len()+len(part) > maxResult {
			return "", &Error{Text: text, Reason: "RangeError: the result is larger than 16 MiB"}
		}
		out.WriteString(part)
	}
	return out.String(), nil
}

func failure(ctx context.Context, text string, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	return &Error{Text: text, Reason: err.Error()}
}

// layers is what a text sees: the outer parameters, overlaid with the finished keys of its own object.
type layers struct{ outer, built *params.Map }

func (l layers) lookup(name string) (any, bool) {
	if v, ok := l.built.Lookup(name); ok {
		return v, true
	}
	return l.outer.Lookup(name)
}

// maxCached bounds the compiled expressions that are kept, maxCachedText the size of each.
const (
	maxCached     = 2048
	maxCachedText = 8 << 10
)

// cache keeps compiled expressions, which do not depend on any runtime.
type cache struct {
	mu       sync.Mutex
	compiled map[string]*expression
}

func (c *cache) get(text string) (*expression, error) {
	c.mu.Lock()
	compiled := c.compiled[text]
	c.mu.Unlock()
	if compiled != nil {
		return compiled, nil
	}
	compiled, err := compile(text)
	if err != nil || len(text) > maxCachedText {
		return compiled, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.compiled == nil || len(c.compiled) >= maxCached {
		c.compiled = map[string]*expression{}
	}
	c.compiled[text] = compiled
	return compiled, nil
}
