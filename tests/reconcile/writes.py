"""Every write of every vendor, found in the code."""

from __future__ import annotations

import importlib
import pkgutil

from mailfleet import vendors
from mailfleet.vendors.transport.operation import Operation


def written() -> list[tuple[str, Operation]]:
    """(vendor, operation), sorted."""
    found: dict[tuple[str, str], Operation] = {}
    for module in pkgutil.walk_packages(vendors.__path__, "mailfleet.vendors."):
        for each in vars(importlib.import_module(module.name)).values():
            if isinstance(each, Operation) and each.write:
                found[module.name.split(".")[2], each.name] = each
    return [(vendor, found[vendor, name]) for vendor, name in sorted(found)]
