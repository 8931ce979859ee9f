package tasklog

// unwritten would report whether no process has the file open for writing. This
// system does not tell, so every command gets a file of its own.
func unwritten(string) bool { return false }
