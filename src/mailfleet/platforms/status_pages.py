"""A vendor's status page as a port."""

from __future__ import annotations

from mailfleet.platforms.ports import StatusSaid
from mailfleet.vendors.statuspage.client import StatusPage


class PublicStatus:
    """`StatusSource` on Statuspage."""

    def __init__(self, page: StatusPage) -> None:
        self._page = page

    async def close(self) -> None:
        await self._page.close()

    async def read(self) -> StatusSaid:
        said = await self._page.read()
        return StatusSaid(indicator=said.indicator, description=said.description)
