"""The HTTP front door: requests for runs, their progress, webhooks, probes, a page for people."""
