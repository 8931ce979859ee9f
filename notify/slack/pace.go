package slack

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// bucket is the rate limit of one channel as a pure value: a request goes when its
// turn has come and no earlier answer asked for silence.
type bucket struct {
	every time.Duration
	burst int
	next  time.Time // when the bucket will be full again
	quiet time.Time // end of the silence that the service asked for
}

// take returns how long to wait for the next turn. When that is longer than most it
// takes no turn and reports false.
func (b *bucket) take(now time.Time, most time.Duration) (time.Duration, bool) {
	next := b.next
	if next.Before(now) {
		next = now
	}
	wait := max(0, next.Sub(now)-time.Duration(b.burst-1)*b.every, b.quiet.Sub(now))
	if wait > most {
		return wait, false
	}
	b.next = next.Add(b.every)
	return wait, true
}

// hold asks for silence of d from now on; a longer one that is under way stays.
func (b *bucket) hold(now time.Time, d time.Duration) {
	if until := now.Add(d); until.After(b.quiet) {
		b.quiet = until
	}
}

// pacer makes the senders of one channel wait for their turns.
type pacer struct {
	mu sync.Mutex
	b  bucket
}

func newPacer(every time.Duration, burst int) *pacer {
	return &pacer{b: bucket{every: every, burst: burst}}
}

// wait returns when the turn has come. A turn further away than most is a failure with
// the time to come back, so that no worker is held up by a channel that is silenced.
func (p *pacer) wait(ctx context.Context, most time.Duration) error {
	p.mu.Lock()
	wait, ok := p.b.take(time.Now(), most)
	p.mu.Unlock()
	if !ok {
		text := fmt.Sprintf("waiting %s for the rate limit", wait.Round(time.Second))
		return &failure{status: http.StatusTooManyRequests, text: text, retryAfter: wait}
	}
	if wait == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pacer) hold(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.b.hold(time.Now(), d)
}
