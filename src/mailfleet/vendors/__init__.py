"""Speaks: one folder per outside system, in that system's own words."""
