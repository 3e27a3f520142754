"""A Genesys Cloud org to run against, over real HTTP, with faults on demand."""
