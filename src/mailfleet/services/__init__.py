"""Does: the use cases. Knows ports, store, rules and policy; names no vendor."""
