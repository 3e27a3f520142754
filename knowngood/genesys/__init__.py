"""The Genesys client: one port, two adapters, real HTTP."""
