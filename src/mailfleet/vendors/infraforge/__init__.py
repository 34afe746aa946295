"""Infraforge: domains, their DNS, mailboxes and their credentials. See `index.tsv`, `quirks.md`."""
