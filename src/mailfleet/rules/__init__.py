"""Decides: pure functions over plain frozen data. No I/O, no clock, no settings."""
