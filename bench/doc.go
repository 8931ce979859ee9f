// Package bench measures the whole program: real agents and runs, each beside
// the bare thing that it cannot beat, in the same run on the same disk.
// `make bench` runs it; docs/performance.md keeps the results. It holds no code
// but benchmarks, each of which is meant to run once: -benchtime 1x.
package bench
