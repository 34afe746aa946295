"""Cloudflare: zones and their records. See `index.tsv`, `quirks.md`."""
