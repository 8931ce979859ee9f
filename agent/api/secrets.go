package api

import (
	"errors"
	"net/http"

	"gitdag/engine/flow"
	"gitdag/engine/params"
	"gitdag/engine/secret"
)

// secrets lists keys; no request tells a value.
func (s *server) secrets(w http.ResponseWriter, r *request) error {
	project, err := s.namedOf(r)
	if err != nil {
		return err
	}
	var keys []string
	if s.Secrets != nil {
		if keys, err = s.Secrets.Keys(uint64(project.ID)); err != nil && !errors.Is(err, ErrNoSecretStore) {
			return err
		}
	}
	return writeEach(w, r, "secrets", keys, func(key string) Secret { return Secret{Key: key} })
}

func (s *server) setSecret(w http.ResponseWriter, r *request) error {
	project, key, err := s.secretOf(r)
	if err != nil {
		return err
	}
	body, err := r.body(false)
	if err != nil {
		return err
	}
	value, ok := scalarAt(body, "value")
	if !ok || secret.CheckValue(key, value) != nil {
		return badf("Invalid secret")
	}
	if s.Secrets == nil {
		return ErrNoSecretStore
	}
	if err := s.Secrets.Set(uint64(project.ID), key, value); err != nil {
		return err
	}
	return writeJSON(w, r.Request, http.StatusOK, Secret{key, &project})
}

// deleteSecret succeeds for a key that there is not.
func (s *server) deleteSecret(w http.ResponseWriter, r *request) error {
	project, key, err := s.secretOf(r)
	if err != nil {
		return err
	}
	if s.Secrets != nil {
		if err := s.Secrets.Delete(uint64(project.ID), key); err != nil {
			return err
		}
	}
	return writeJSON(w, r.Request, http.StatusOK, Secret{key, &project})
}

// secretOf reads the project and the key of the path.
func (s *server) secretOf(r *request) (Named, string, error) {
	project, err := s.namedOf(r)
	if err != nil {
		return project, "", err
	}
	key := r.path["key"]
	if !secret.IsKey(key) {
		return project, "", badf("Invalid secret")
	}
	return project, key, nil
}

// namedOf returns the project of the path.
func (s *server) namedOf(r *request) (project Named, err error) {
	err = s.withProject(r, func(p *flow.Project) { project = named(p) })
	return project, err
}

// scalarAt reads a text, or what can stand for one.
func scalarAt(m *params.Map, key string) (string, bool) {
	if v, _ := m.Lookup(key); v == true || v == false {
		return string(params.AppendJSON(nil, v)), true
	}
	return textAt(m, key)
}
