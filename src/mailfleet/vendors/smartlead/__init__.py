"""Smartlead: e-mail accounts, campaigns, leads, statistics, webhooks, placement tests. See `index.tsv`, `quirks.md`."""
