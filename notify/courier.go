package notify

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"
)

// Courier makes one try to deliver an alert. It keeps no state and starts nothing: the
// caller stores the decision, waits, and calls again.
type Courier struct {
	Channels map[string]Sender // by configured name; not changed while in use
	Log      *slog.Logger
	Jitter   func() float64 // nil: random
}

// Delivery is what a try came to; Receipt belongs to Delivered.
type Delivery struct {
	Decision
	Receipt Receipt
}

// Deliver tries the target's channel and, where that refuses for good, its fallbacks
// in turn. The next try begins at the channel again, since somebody may have mended
// it. The error is non-nil only when ctx ended first: then the try does not count.
//
// Alerts of one incident have to be delivered one after another, each with the thread
// that the earlier receipt named.
func (c Courier) Deliver(ctx context.Context, a Alert, t Target, tries int) (Delivery, error) {
	var refusals []string
	for _, name := range append([]string{t.Channel}, t.Fallback...) {
		d, err := c.try(ctx, a, name, tries)
		if err != nil {
			return Delivery{}, err
		}
		log := c.Log.With("channel", name, "alert", a.Key, "tries", tries+1)
		switch d.Action {
		case Delivered:
			log.Debug("alert delivered")
			return d, nil
		case RetryAt:
			log.Warn("alert not delivered, will try again", "at", d.At, "err", d.Reason)
			return d, nil
		case GiveUp:
			log.Error("channel refuses alerts", "err", d.Reason)
			refusals = append(refusals, name+": "+d.Reason)
		}
	}
	reason := strings.Join(refusals, "; ")
	c.Log.Error("alert given up", "alert", a.Key, "message", Render(a).Title, "err", reason)
	return Delivery{Decision: Decision{Action: GiveUp, Reason: reason}}, nil
}

func (c Courier) try(ctx context.Context, a Alert, name string, tries int) (Delivery, error) {
	s, ok := c.Channels[name]
	if !ok {
		return Delivery{Decision: Decision{Action: GiveUp, Reason: "no such channel is configured"}}, nil
	}
	if a.Thread.Via != "" && a.Thread.Via != name {
		a.Thread = Receipt{} // another channel's message cannot be answered here
	}
	r, err := s.Send(ctx, a)
	if err != nil && ctx.Err() != nil {
		return Delivery{}, ctx.Err()
	}
	r.Via = name
	jitter := c.Jitter
	if jitter == nil {
		jitter = rand.Float64
	}
	d := Delivery{Decision: backoffOf(s).Retry(tries, OutcomeOf(err), time.Now(), jitter())}
	if d.Action == Delivered {
		d.Receipt = r
	}
	return d, nil
}
