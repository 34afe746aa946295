"""Thirteen weeks in minutes: the whole migration on the real code paths, in a world of this process, by its clock."""
