package gitsync

func runTestAgent(string) int { return 0 }
