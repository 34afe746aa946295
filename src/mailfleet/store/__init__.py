"""Remembers: Postgres."""
