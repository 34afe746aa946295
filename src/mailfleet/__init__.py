"""mailfleet: the control plane for an agency's outbound e-mail."""

__version__ = "0.1.0"
