"""The demonstration: the whole of mailfleet driven against the sandbox, and checked against what the sandbox saw."""
