"""Slack: incoming webhook and chat.postMessage. See `index.tsv`, `quirks.md`."""
