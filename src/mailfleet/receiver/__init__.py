"""Webhooks in: verified, stored, acknowledged; understood later."""
