"""Servers and processes that a single machine starts for itself, and ends with itself."""
