package client

import (
	"context"
	"net/http"

	"gitdag/agent/api"
)

// Secrets lists the keys of a project's secrets in order. No value can be asked
// for.
func (c *Client) Secrets(ctx context.Context, project api.ID) ([]api.Secret, error) {
	list := struct{ Secrets []api.Secret }{[]api.Secret{}}
	err := c.get(ctx, &list, nil, "api", "projects", project.String(), "secrets")
	return list.Secrets, err
}

// SetSecret sets a secret of a project.
func (c *Client) SetSecret(ctx context.Context, project api.ID, key, value string) (api.Secret, error) {
	var s api.Secret
	err := c.decode(ctx, call{
		method: http.MethodPut, path: []string{"api", "projects", project.String(), "secrets", key}, body: api.SecretRequest{Value: value},
	}, &s)
	return s, err
}

// DeleteSecret deletes a secret of a project; that there is none is no error.
func (c *Client) DeleteSecret(ctx context.Context, project api.ID, key string) (api.Secret, error) {
	var s api.Secret
	err := c.decode(ctx, call{method: http.MethodDelete, path: []string{"api", "projects", project.String(), "secrets", key}}, &s)
	return s, err
}
