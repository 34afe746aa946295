"""The console and the API."""
