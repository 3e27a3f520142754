"""Snapshots: the records a rollback returns to, kept apart from Genesys and from Redis."""
