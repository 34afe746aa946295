"""Mailforge: as Infraforge, on shared addresses. See `index.tsv`, `quirks.md`."""
