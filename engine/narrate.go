package engine

import (
	"gitdag/engine/flow"
)

// narrate tells what has become durable. The follower goroutine calls it.
func (e *Engine) narrate(events []flow.Event) {
	if e.options.Narrate != nil {
		e.options.Narrate(e.follower, events)
		return
	}
	e.logEvents(events)
}

// logEvents writes one log line for each transition that people want to see.
func (e *Engine) logEvents(events []flow.Event) {
	for _, ev := range events {
		switch ev := ev.(type) {
		case *flow.AttemptStarted:
			e.log.Info("attempt started", "project", ev.Attempt.ProjectName, "workflow", ev.Attempt.Workflow,
				"session", ev.Session.Time, "attempt", ev.Attempt.ID, "revision", ev.Attempt.Revision)
		case *flow.Backfilled:
			e.log.Info("attempts added to run one after another", "project", ev.Attempt.ProjectName, "workflow", ev.Attempt.Workflow,
				"name", ev.Attempt.RetryName, "attempt", ev.Attempt.ID, "count", len(ev.Sessions), "revision", ev.Attempt.Revision)
		case *flow.AttemptBegun:
			e.log.Info("attempt begins", "attempt", ev.Attempt)
		case *flow.AttemptSettled:
			e.log.Info("attempt ended", "attempt", ev.Attempt, "success", ev.Success)
		case *flow.AttemptKilled:
			e.log.Info("attempt killed", "attempt", ev.Attempt)
		case *flow.SLAMissed:
			e.log.Warn("attempt missed its deadline", "attempt", ev.Attempt)
		case *flow.TaskMoved:
			e.narrateMove(ev)
		case *flow.Deployed:
			e.log.Info("revision live", "repo", ev.Manifest.Repo, "revision", ev.Manifest.Commit.ID,
				"changed", len(ev.Manifest.Projects), "kept", len(ev.Manifest.Kept), "rejected", len(ev.Manifest.Rejected))
		case *flow.AlertClosed:
			if ev.Why != "" {
				e.log.Error("alert given up", "alert", ev.ID, "err", ev.Why)
			}
		case *flow.AlertDelayed:
			e.log.Warn("alert not delivered yet", "alert", ev.ID, "err", ev.Why)
		}
	}
}

func (e *Engine) narrateMove(ev *flow.TaskMoved) {
	if ev.Note != "" {
		e.log.Warn(ev.Note, "attempt", ev.Attempt, "task", ev.Task)
	}
	switch ev.By {
	case flow.Failing:
		message, _ := ev.Failure.Map.Lookup("message")
		e.log.Warn("task failed", "attempt", ev.Attempt, "task", ev.Task, "err", message)
	case flow.Lost:
		e.log.Warn("task lost with its worker; it runs again", "attempt", ev.Attempt, "task", ev.Task)
	}
}
