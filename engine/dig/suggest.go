package dig

import (
	"fmt"
	"unicode/utf8"
)

// DidYouMean is the hint, for any text of a user's, that names the candidate
// nearest to word, or nothing if none is near: a candidate is near if one letter or
// about a third of its letters differ.
func DidYouMean(word string, candidates []string) string {
	best, bestDistance := "", 0
	for _, c := range candidates {
		limit := max(1, (utf8.RuneCountInString(c)+1)/3)
		d := distance(word, c, limit)
		if d <= limit && (best == "" || d < bestDistance) {
			best, bestDistance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// distance is the number of letters to insert, delete, replace or swap with their neighbour to get from a to b, or
// some number over limit as soon as it is clear that it exceeds it.
func distance(a, b string, limit int) int {
	const longest = 32 // of all keys and names that are suggested, and of what may be meant by them
	s, t := []rune(a), []rune(b)
	if len(s)-len(t) > limit || len(t)-len(s) > limit || max(len(s), len(t)) > longest {
		return limit + 1
	}
	var rows [3][longest + 1]int
	before, prev, cur := &rows[0], &rows[1], &rows[2]
	for j := range prev {
		prev[j] = j
	}
	for i := range s {
		cur[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j+1]+1, cur[j]+1, prev[j]+cost)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				cur[j+1] = min(cur[j+1], before[j-1]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(t)]
}
