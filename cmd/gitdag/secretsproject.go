package main

import (
	"context"
	"fmt"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// projectSecrets are the secrets of a project of an agent.
type projectSecrets struct {
	agent   *client.Client
	project api.Project
}

// projectSecrets asks the agent for the project.
func (c *cli) projectSecrets(ctx context.Context, o *secretsOptions) (*projectSecrets, error) {
	agent, err := c.connect(&o.clientOptions)
	if err != nil {
		return nil, err
	}
	project, err := agent.Project(ctx, o.project)
	if err != nil {
		return nil, err
	}
	return &projectSecrets{agent, project}, nil
}

func (s *projectSecrets) list(ctx context.Context) ([]api.Secret, error) {
	list, err := s.agent.Secrets(ctx, s.project.ID)
	if err != nil {
		return nil, fmt.Errorf("list the secrets of project %s: %w", s.project.Name, err)
	}
	return list, nil
}

func (s *projectSecrets) set(ctx context.Context, key, value string) (api.Secret, error) {
	set, err := s.agent.SetSecret(ctx, s.project.ID, key, value)
	if err != nil {
		return api.Secret{}, fmt.Errorf("set secret %s: %w", key, err)
	}
	return set, nil
}

func (s *projectSecrets) delete(ctx context.Context, key string) (api.Secret, error) {
	deleted, err := s.agent.DeleteSecret(ctx, s.project.ID, key)
	if err != nil {
		return api.Secret{}, fmt.Errorf("delete secret %s: %w", key, err)
	}
	return deleted, nil
}
