package api

import (
	"net/http"
	"regexp"
)

func (s *server) showVersion(w http.ResponseWriter, r *request) error {
	return writeJSON(w, r.Request, http.StatusOK, Version{s.Version})
}

// clientVersion is the grammar of the versions of Digdag's clients.
var clientVersion = regexp.MustCompile(`^\d+(\.\d+)*(-.+)?$`)

func (s *server) versionCheck(w http.ResponseWriter, r *request) error {
	client := r.query("client")
	if !clientVersion.MatchString(client) {
		return badf("Invalid version string: %s", client)
	}
	return writeJSON(w, r.Request, http.StatusOK, VersionCheck{ServerVersion: s.Version, APICompatible: true})
}
