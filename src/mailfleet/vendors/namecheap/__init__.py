"""Namecheap: prices, registration, delegation. See `index.tsv`, `quirks.md`."""
