"""Cloudflare, as its documents describe it."""
