"""Namecheap, the registrar."""
