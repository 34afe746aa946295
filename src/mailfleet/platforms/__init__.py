"""The ports to the outside in our words, and the adapters that translate."""
