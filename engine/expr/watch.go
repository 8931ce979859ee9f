package expr

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	watchEvery = 10 * time.Millisecond
	maxGrowth  = 256 << 20 // bytes by which the heap may grow while one text is evaluated
)

// A watch interrupts an evaluation that takes too long, makes the heap grow too far, or is no longer wanted. The heap
// is the process's, so the limit is one for accidents, not a quota. Its timer ends with end.
type watch struct {
	runtime *runtime
	limit   time.Duration

	mu     sync.Mutex
	timer  *time.Timer
	forget func() bool // the context
	ticks  int
	heap   uint64
	ended  bool
	err    error
}

func watchOver(ctx context.Context, r *runtime, limit time.Duration) *watch {
	w := &watch{runtime: r, limit: limit}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(watchEvery, w.tick)
	w.forget = context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.interrupt(ctx.Err())
	})
	return w
}

func (w *watch) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ticks++
	heap := heapBytes()
	if w.ticks == 1 {
		w.heap = heap
	}
	switch {
	case time.Duration(w.ticks)*watchEvery >= w.limit:
		w.interrupt(fmt.Errorf("RangeError: the evaluation takes longer than %v", w.limit))
	case heap > w.heap+maxGrowth:
		w.interrupt(errors.New("RangeError: the evaluation needs more than 256 MiB of memory"))
	case !w.ended && w.err == nil:
		w.timer.Reset(watchEvery)
	}
}

// interrupt stops the evaluation for the first reason that comes up. The caller holds the lock.
func (w *watch) interrupt(err error) {
	if w.ended || w.err != nil {
		return
	}
	w.err = err
	w.runtime.stopped.Store(true)
	w.runtime.vm.Interrupt(err)
}

func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// reason is why the evaluation was interrupted, nil if it was not.
func (w *watch) reason() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// end stops the watch, which then interrupts nothing any more, and returns its reason.
func (w *watch) end() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
	w.forget()
	return w.err
}
