"""Moves an operation from one sending platform to another."""
