"""One thin file per task."""
