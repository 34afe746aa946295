"""Smartlead: both of its hosts, and the hooks it calls."""
