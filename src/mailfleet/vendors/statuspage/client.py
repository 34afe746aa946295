"""What a vendor says of itself: one number of its public status page."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from mailfleet.errors import VendorError
from mailfleet.vendors.transport.failures import by_status
from mailfleet.vendors.transport.operation import Access, Operation, Vendor
from mailfleet.vendors.transport.protocols import Window
from mailfleet.vendors.transport.transport import Means, Transport

Indicator = Literal["none", "minor", "major", "critical", "maintenance", "unknown"]
WINDOWS: tuple[Window, ...] = ((10, 60.0),)
READ = Operation(name="read_status", method="GET", path="/api/v2/summary.json", timeout=5)  # statuspage:summary


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """`unknown`: the page did not answer, or in words we do not know."""

    indicator: str = "unknown"
    description: str = ""


class _Page(msgspec.Struct, frozen=True):
    status: Said


class StatusPage:
    """The page of one vendor. No key, no budget that matters."""

    def __init__(self, vendor: str, base_url: str, means: Means) -> None:
        self.vendor = vendor
        self.transport = Transport(
            Vendor(
                name=f"{vendor}-status", base_url=base_url, access=Access(), windows=WINDOWS, judge=by_status,
                reserved=0,
            ),
            means,
        )  # fmt: skip

    async def close(self) -> None:
        await self.transport.close()

    async def read(self) -> Said:
        """Never raises: a page that cannot be read says nothing about the vendor."""
        try:
            said = (await self.transport.ask(READ, _Page)).status
        except VendorError as error:
            return Said(description=f"the status page cannot be read: {error.code}")
        return said if said.indicator in get_args(Indicator) else Said(description=f"it says {said.indicator!r}")
