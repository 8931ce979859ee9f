// Package soak holds the long test of the whole agent, which `make soak` runs
// for as long as one likes: random workflows are committed and started while
// the agent is killed, stopped and started again, and its journal is compared
// with what the tasks did. It holds no code but tests.
package soak
