"""One deploy per capability; each takes its slice of the plan and calls a fixed list of operations."""
