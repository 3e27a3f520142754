"""What all workers share through Redis: one OAuth token, and one rate limit."""
