"""Runs: the journal, the lease with its fencing token, and what takes a run to its end."""
