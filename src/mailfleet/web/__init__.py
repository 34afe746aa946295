"""The console: what runs, what waits, what was stopped and why."""
