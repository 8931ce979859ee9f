package agent

import (
	"context"

	"gitdag/engine/operator"
)

// secrets is the agent's secret store as long as it has none: every key is
// unknown.
type secrets struct{}

// Secret returns the error for an unknown key.
func (secrets) Secret(_ context.Context, key string) (string, error) {
	return "", &operator.Error{Message: "Secret not found for key: '" + key + "'", Kind: "secret not found"}
}
