"""Warmforge: warm-up, heat, what it sees of a domain's DNS, placement tests. See `index.tsv`, `quirks.md`."""
