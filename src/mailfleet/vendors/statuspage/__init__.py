"""A vendor's status page, as Statuspage publishes it."""
