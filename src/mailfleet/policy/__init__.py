"""The typed policy: the specification's figures as defaults, loading and validation."""
