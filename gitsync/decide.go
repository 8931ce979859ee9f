package gitsync

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// action is what a listing leads to.
type action int

const (
	nothing action = iota
	fetchCommit
)

// afterList decides what to do with a listed tip. Reason is for the log.
func afterList(live Live, tip Tip, scope string, missing []string) (action, string) {
	switch {
	case live.Commit.Hash == "":
		return fetchCommit, "first"
	case live.Commit.Hash != tip.Commit:
		return fetchCommit, "moved"
	case live.Scope != scope:
		return fetchCommit, "configuration"
	case len(missing) > 0:
		return fetchCommit, "checkouts are missing"
	}
	return nothing, ""
}

// rulesVersion rises when what is found in a commit, or refused, changes with
// the program, so that a commit which is live is read again.
const rulesVersion = 1

// scopeOf names all that decides, beside the commit, what is deployed of it.
func scopeOf(r Repo, l Limits) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d|%q|%q|%+v", rulesVersion, r.Name, r.Path, l))
	return hex.EncodeToString(sum[:8])
}

// changedProjects lists the projects whose tree or name is not the live one.
func changedProjects(live []LiveProject, found []FoundProject) []FoundProject {
	known := byPath(live)
	var changed []FoundProject
	for _, f := range found {
		if l, ok := known[f.Path]; !ok || l.Tree != f.Tree || l.Name != f.Name {
			changed = append(changed, f)
		}
	}
	return changed
}

// nameConflicts refuses projects whose name is another's: of another
// repository, of a live project of this one that the commit still holds, or of
// one earlier by path.
func nameConflicts(live Live, found []FoundProject, refused []Refusal) (good []FoundProject, taken []Refusal) {
	present := map[string]bool{}
	for _, f := range found {
		present[f.Path] = true
	}
	for _, r := range refused {
		present[r.Path] = true
	}
	owner := map[string]string{}
	for _, l := range live.Projects {
		if present[l.Path] || inRefusedFolder(l.Path, refused) {
			owner[l.Name] = l.Path
		}
	}
	for _, f := range found {
		if by, ok := live.Taken[f.Name]; ok {
			taken = append(taken, nameTaken(f, by))
			continue
		}
		if p, ok := owner[f.Name]; ok && p != f.Path {
			taken = append(taken, nameTaken(f, fmt.Sprintf("the project in %s", p)))
			continue
		}
		owner[f.Name] = f.Path
		good = append(good, f)
	}
	return good, taken
}

func nameTaken(f FoundProject, by string) Refusal {
	return Refusal{Path: f.Path, Name: f.Name, Diag: Diagnostic{Severity: Error, Message: fmt.Sprintf(
		"the name %q is taken by %s: give it another under projects: in gitdag.yaml", f.Name, by)}}
}

// verdict is a changed project after its check.
type verdict struct {
	found   FoundProject
	dir     string
	checked Checked
}

func (v verdict) good() bool {
	return !slices.ContainsFunc(v.checked.Diagnostics, func(d Diagnostic) bool { return d.Severity == Error })
}

// plan makes one deployment of all that is known of a commit.
func plan(live Live, got Fetched, verdicts []verdict) Deployment {
	d := Deployment{
		Ref: got.Ref, Commit: got.Commit, Relation: got.Relation, Since: got.Since,
	}
	known := byPath(live.Projects)
	judged := map[string]bool{}
	for _, v := range verdicts {
		judged[v.found.Path] = true
		if !v.good() {
			d.Rejected = append(d.Rejected, Rejection{v.found.Path, v.found.Name, v.checked.Diagnostics})
			continue
		}
		delete(known, v.found.Path)
		revision := got.Commit.Hash
		d.Projects = append(d.Projects, Project{
			LiveProject: LiveProject{v.found.Path, v.found.Name, v.found.Tree, revision},
			Dir:         v.dir, Compiled: v.checked.Compiled, Warnings: v.checked.Diagnostics,
		})
	}
	present := map[string]bool{}
	for _, f := range got.Projects {
		present[f.Path] = true
	}
	for _, r := range got.Refused {
		d.Rejected = append(d.Rejected, Rejection{r.Path, r.Name, []Diagnostic{r.Diag}})
		present[r.Path] = true
	}
	for _, p := range slices.Sorted(maps.Keys(known)) {
		if present[p] || judged[p] || inRefusedFolder(p, got.Refused) {
			d.Kept = append(d.Kept, known[p])
		} else {
			d.Removed = append(d.Removed, known[p])
		}
	}
	slices.SortStableFunc(d.Rejected, func(a, b Rejection) int { return strings.Compare(a.Path, b.Path) })
	return d
}

func inRefusedFolder(p string, refused []Refusal) bool {
	return slices.ContainsFunc(refused, func(r Refusal) bool {
		return r.Folder && (r.Path == "." || p == r.Path || strings.HasPrefix(p, r.Path+"/"))
	})
}

func byPath(live []LiveProject) map[string]LiveProject {
	m := make(map[string]LiveProject, len(live))
	for _, l := range live {
		m[l.Path] = l
	}
	return m
}

// health is how a repository's syncs are going. The zero value is good health.
type health struct {
	failures int
	since    time.Time // the first of the failures
	lastErr  string
	alerted  bool
}

// failed folds one more failure.
func (h health) failed(now time.Time, err error) health {
	if h.failures == 0 {
		h.since = now
	}
	h.failures++
	h.lastErr = err.Error()
	return h
}

// alertDue says whether a failing repository is to be reported now.
func alertDue(h health, now time.Time, after time.Duration) bool {
	return h.failures > 0 && !h.alerted && !now.Before(h.since.Add(after))
}

const (
	backoffBase = time.Second
	backoffMax  = 5 * time.Minute
)

// rhythm is what a pause depends on, beside the health.
type rhythm struct {
	poll       time.Duration // in good health
	alertAfter time.Duration
	asked      time.Duration // how long the server wants to be left alone
}

// pause says how long to wait for the next poll: the interval ±10 % in good
// health; after failures an exponential back-off with full jitter, but not past
// the moment at which an alert becomes due, and never sooner than the server
// asked for. random is in [0, 1).
func pause(h health, now time.Time, r rhythm, random float64) time.Duration {
	if h.failures == 0 {
		return r.poll + time.Duration((random*2-1)*float64(r.poll)/10)
	}
	ceiling := backoffMax
	if h.failures < 10 {
		ceiling = min(backoffMax, backoffBase<<h.failures)
	}
	wait := max(backoffBase, time.Duration(random*float64(ceiling)))
	if alert := h.since.Add(r.alertAfter).Sub(now); !h.alerted && alert > 0 {
		wait = min(wait, alert)
	}
	return max(wait, r.asked)
}
