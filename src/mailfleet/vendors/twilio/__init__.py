"""Twilio: SMS. See `index.tsv`, `quirks.md`."""
