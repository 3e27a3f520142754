"""Automated rollback of Genesys Cloud Architect flows."""
