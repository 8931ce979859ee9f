package forge

import (
	"container/list"
	"sync"
	"time"
)

const (
	replayWindow  = 10 * time.Minute
	maxDeliveries = 10_000

	bucketSize  = 120 // requests that a source may send at once
	bucketRate  = 10  // and a second
	maxBuckets  = 4096
	bucketReset = bucketSize / bucketRate * time.Second
)

// deliveries remembers what was delivered within the replay window. A delivery
// has several names: its id, which a replay may change, and its signature.
type deliveries struct {
	mu    sync.Mutex
	seen  map[string]bool
	order list.List // of delivery, oldest in front
}

type delivery struct {
	name string
	at   time.Time
}

// add says whether none of the names is known, and remembers them all.
func (d *deliveries) add(now time.Time, names ...string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for el := d.order.Front(); el != nil; el = d.order.Front() {
		if old := el.Value.(delivery); d.order.Len() <= maxDeliveries && now.Sub(old.at) < replayWindow {
			break
		}
		delete(d.seen, d.order.Remove(el).(delivery).name)
	}
	fresh := true
	for _, n := range names {
		fresh = fresh && !d.seen[n]
	}
	for _, n := range names {
		if d.seen == nil {
			d.seen = map[string]bool{}
		}
		if n != "" && !d.seen[n] {
			d.seen[n] = true
			d.order.PushBack(delivery{n, now})
		}
	}
	return fresh
}

// buckets limits the requests of each source.
type buckets struct {
	mu sync.Mutex
	m  map[string]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// take says whether a source may send one more request now.
func (b *buckets) take(now time.Time, source string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m == nil || len(b.m) >= maxBuckets {
		b.drop(now)
	}
	t, ok := b.m[source]
	if !ok {
		t = &bucket{tokens: bucketSize, at: now}
		b.m[source] = t
	}
	t.tokens = min(bucketSize, t.tokens+now.Sub(t.at).Seconds()*bucketRate)
	t.at = now
	if t.tokens < 1 {
		return false
	}
	t.tokens--
	return true
}

// drop forgets the sources whose bucket is full again by now. If none is, all
// are forgotten: memory is worth more than the limit.
func (b *buckets) drop(now time.Time) {
	for s, t := range b.m {
		if now.Sub(t.at) > bucketReset {
			delete(b.m, s)
		}
	}
	if b.m == nil || len(b.m) >= maxBuckets {
		b.m = map[string]*bucket{}
	}
}
