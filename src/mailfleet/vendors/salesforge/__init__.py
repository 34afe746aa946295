"""Salesforge: core (V1 sequences, contacts, mailboxes, threads) and multichannel. See `index.tsv`, `quirks.md`."""
