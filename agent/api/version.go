package api

import (
	"cmp"
	"net/http"
	"regexp"
	"strings"
)

func (s *server) showVersion(w http.ResponseWriter, r *request) error {
	return writeJSON(w, r.Request, http.StatusOK, Version{s.Version})
}

func (s *server) versionCheck(w http.ResponseWriter, r *request) error {
	client := r.query("client")
	if !clientVersion.MatchString(client) {
		return badf("Invalid version string: %s", client)
	}
	return writeJSON(w, r.Request, http.StatusOK, VersionCheck{
		ServerVersion:      s.Version,
		UpgradeRecommended: olderThan(client, s.VersionFloor.Recommend),
		APICompatible:      !olderThan(client, s.VersionFloor.Require),
	})
}

// clientVersion is the grammar of the versions of Digdag's clients.
var clientVersion = regexp.MustCompile(`^\d+(\.\d+)*(-.+)?$`)

// olderThan tells whether a version is older than another; nothing is older than
// one that is empty or none at all.
func olderThan(version, floor string) bool {
	return clientVersion.MatchString(floor) && compareVersions(version, floor) < 0
}

// compareVersions compares number by number, absent ones as 0. A qualifier
// comes before the bare version: 1.0-rc1 is older than 1.0.
func compareVersions(a, b string) int {
	numbersA, qualifierA, _ := strings.Cut(a, "-")
	numbersB, qualifierB, _ := strings.Cut(b, "-")
	partsA, partsB := strings.Split(numbersA, "."), strings.Split(numbersB, ".")
	for i := range max(len(partsA), len(partsB)) {
		if c := compareDigits(at(partsA, i), at(partsB, i)); c != 0 {
			return c
		}
	}
	switch {
	case qualifierA == qualifierB:
		return 0
	case qualifierA == "":
		return 1
	case qualifierB == "":
		return -1
	}
	return strings.Compare(qualifierA, qualifierB)
}

func at(parts []string, i int) string {
	if i < len(parts) {
		return parts[i]
	}
	return ""
}

// compareDigits compares numbers of any length.
func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
