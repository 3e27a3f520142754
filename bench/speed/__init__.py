"""How fast a rollback is, beside what it cannot be faster than and what others would use."""
