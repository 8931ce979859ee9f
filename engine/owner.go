package engine

import (
	"context"
	"errors"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/journal"
)

// ErrNoSpace refuses an input while the disk is full. Nothing is lost; the
// same call may be made again.
var ErrNoSpace = errors.New("no space left in the data directory: nothing new is accepted until there is")

// ErrStopped refuses an input to an engine that is stopping.
var ErrStopped = errors.New("the engine is stopping")

const (
	// maxSleep bounds the owner's sleep, since the wall clock may jump.
	maxSleep = time.Second
	// spaceRetry is how often a batch that found no space is tried again.
	spaceRetry = time.Second
	// maxBatch is where the owner stops adding inputs to a batch.
	maxBatch = 256 << 10
)

// request is an input on its way to the owner.
type request struct {
	in     flow.Input
	answer chan<- answer // nil where nobody waits; buffered
}

// answer is what became of an input, sent once it is durable.
type answer struct {
	out flow.Output
	err error
}

// batch is what is made durable with one sync.
type batch struct {
	events  []flow.Event
	records [][]byte
	size    int
	effects []flow.Effect
	replies []reply
	// armed is shown to those who look, and written nowhere. leases tells that
	// tasks wait for the batch, though it may have no events.
	armed   []flow.Armed
	leases  bool
	last    uint64        // sequence number of the last record
	durable chan struct{} // closed when it is
}

type reply struct {
	to chan<- answer
	answer
}

func newBatch() *batch { return &batch{durable: make(chan struct{})} }

func (b *batch) empty() bool {
	return len(b.events) == 0 && len(b.effects) == 0 && len(b.replies) == 0 && len(b.armed) == 0 && !b.leases
}

// Submit gives the core an input from outside and waits until what came of it
// is durable. A core that refuses the input answers with its own error.
func (e *Engine) Submit(ctx context.Context, in flow.Input) (flow.Output, error) {
	return e.submit(ctx, e.external, in)
}

// report gives the core the answer to an effect. It is not refused for lack of
// space but waits.
func (e *Engine) report(ctx context.Context, in flow.Input) (flow.Output, error) {
	return e.submit(ctx, e.internal, in)
}

func (e *Engine) submit(ctx context.Context, to chan<- request, in flow.Input) (flow.Output, error) {
	answers := make(chan answer, 1)
	select {
	case to <- request{in, answers}:
	case <-ctx.Done():
		return flow.Output{}, context.Cause(ctx)
	case <-e.ended:
		return flow.Output{}, e.endError()
	}
	select {
	case a := <-answers:
		return a.out, a.err
	case <-ctx.Done():
		return flow.Output{}, context.Cause(ctx)
	case <-e.ended:
		return flow.Output{}, e.endError()
	}
}

// owner is the goroutine that owns the state; Stop ends it through quit. At
// most one batch is with the writer; what is decided meanwhile shares the next
// one.
type owner struct {
	*Engine
	pending  *batch
	inFlight bool // a batch is with the writer
	noSpace  bool // and the disk is full
	quitting bool
	timer    *time.Timer
}

func (e *Engine) own() {
	defer close(e.batches)
	o := &owner{Engine: e, pending: newBatch(), timer: time.NewTimer(0)}
	defer o.timer.Stop()
	for !o.quitting || o.inFlight || !o.pending.empty() {
		if !o.inFlight && !o.pending.empty() {
			e.batches <- o.pending
			o.pending, o.inFlight = newBatch(), true
		}
		if !o.take() {
			return
		}
	}
}

// take waits for one thing to do and does it. It is false when nothing more
// can be done.
func (o *owner) take() bool {
	external, internal, ticks, quit := o.sources()
	select {
	case o.noSpace = <-o.written:
		o.inFlight = o.noSpace
		o.full.Store(o.noSpace)
		if o.noSpace && o.quitting {
			return false
		}
	case r := <-internal:
		o.step(o.pending, r)
	case r := <-external:
		if o.noSpace {
			r.refuse()
			return true
		}
		o.step(o.pending, r)
	case <-ticks:
		o.step(o.pending, request{in: &flow.Tick{}})
	case config := <-o.configs:
		o.state.Configure(config)
	case <-quit:
		o.quitting = true
	case <-o.ended:
		return false
	}
	o.timer.Reset(o.sleep())
	return true
}

// sources returns the channels that are listened to: none that would grow a
// batch which is large already, and on a full disk only the one whose inputs
// can be refused.
func (o *owner) sources() (external, internal <-chan request, ticks <-chan time.Time, quit <-chan struct{}) {
	crowded := o.pending.size >= maxBatch
	if !o.quitting {
		quit = o.quit
	}
	if !crowded || o.noSpace {
		external = o.external
	}
	if !crowded && !o.noSpace {
		internal, ticks = o.internal, o.timer.C
	}
	return external, internal, ticks, quit
}

// refuse turns an input away while the disk is full.
func (r request) refuse() {
	if r.answer != nil {
		r.answer <- answer{err: ErrNoSpace}
	}
}

// sleep is how long the owner may sleep until the next tick.
func (e *Engine) sleep() time.Duration {
	if e.wake.IsZero() {
		return maxSleep
	}
	return min(max(time.Until(e.wake), 0), maxSleep)
}

// step takes one input and adds what comes of it to the batch. Tasks that were
// leased are prepared at once.
func (e *Engine) step(b *batch, r request) {
	out, err := e.state.Step(e.now(), r.in)
	e.wake = out.Wake
	for _, ev := range out.Events {
		b.events = append(b.events, ev)
		if e.options.Journal == nil {
			continue
		}
		line, encodeErr := flow.EncodeEvent(ev)
		if encodeErr != nil {
			// The state has moved and cannot go back.
			panic("engine: " + encodeErr.Error())
		}
		b.records = append(b.records, line)
		b.size += len(line) + 1
	}
	for _, effect := range out.Effects {
		if d, ok := effect.(*flow.Dispatch); ok {
			e.workers.start(d, b.durable)
			b.leases = true
			continue
		}
		b.effects = append(b.effects, effect)
	}
	b.armed = append(b.armed, out.Armed...)
	if r.answer != nil {
		b.replies = append(b.replies, reply{r.answer, answer{out, err}})
	}
}

// write is the journal goroutine: one write and one sync a batch. It ends when
// the owner closes the batches.
func (e *Engine) write() {
	defer close(e.durable)
	for b := range e.batches {
		if !e.append(b) {
			return
		}
		close(b.durable)
		e.durable <- b
		e.written <- false
	}
}

// append makes a batch durable. While there is no space it keeps the batch and
// tries again; any other failure ends the engine.
func (e *Engine) append(b *batch) bool {
	for {
		err := e.appendRecords(b)
		if err == nil {
			return true
		}
		if !errors.Is(err, journal.ErrNoSpace) {
			e.fail(err)
			return false
		}
		e.log.Error("no space left for the journal: nothing new is accepted until there is", "err", err)
		e.written <- true
		select {
		case <-time.After(spaceRetry):
		case <-e.quit:
			return false
		case <-e.ctx.Done():
			// The drain is over. What waits for this batch would hold the stop up;
			// nothing of it was acknowledged, and its tasks run again.
			e.fail(ErrStopped)
			return false
		}
	}
}

// appendRecords writes the batch, as several where it is larger than the
// journal takes at once: what one input leads to is rarely that much.
func (e *Engine) appendRecords(b *batch) error {
	for len(b.records) > 0 {
		n, size := 0, 0
		for n < len(b.records) && (n == 0 || size+len(b.records[n])+1 <= journal.MaxBatch) {
			size += len(b.records[n]) + 1
			n++
		}
		last, err := e.options.Journal.Append(b.records[:n])
		if err != nil {
			return err
		}
		b.last = last
		b.records = b.records[n:]
	}
	return nil
}

// follow is the follower goroutine: it applies durable batches to the state
// that readers see, answers, and has the effects performed.
func (e *Engine) follow() {
	defer close(e.followed)
	for b := range e.durable {
		e.mu.Lock()
		for _, ev := range b.events {
			e.follower.Apply(ev)
		}
		for _, w := range b.armed {
			e.follower.Arm(w)
		}
		e.mu.Unlock()
		for _, r := range b.replies {
			r.to <- r.answer
		}
		e.narrate(b.events)
		for _, effect := range b.effects {
			e.perform(effect)
		}
		if b.last > 0 {
			e.snapshotIfDue(b.last)
		}
	}
}
