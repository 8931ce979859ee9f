package params

// Empty tells that s changes nothing.
func (s Stores) Empty() bool { return s.changes.root == nil }
