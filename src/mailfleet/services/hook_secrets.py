"""The signing secrets of webhooks that a platform shows once: kept encrypted, by platform and hook."""

from __future__ import annotations

from collections.abc import Mapping

from mailfleet.store.database import Connection, Database, tuples
from mailfleet.store.secrets import Vault


class HookSecrets:
    """Those of one platform."""

    def __init__(self, db: Database, vault: Vault, platform: str) -> None:
        self._db, self._vault = db, vault
        self._purpose = f"webhook:{platform}:"

    async def keep(self, hook: str, secret: str) -> None:
        async with self._db.transaction() as db:
            await self._vault.put(db, self._purpose + hook, secret.encode())

    async def has(self, hook: str) -> bool:
        async with self._db.connection() as db:
            return bool(await tuples(db, "select 1 from mailfleet.secrets where purpose = %s", [self._purpose + hook]))

    async def all(self) -> Mapping[str, str]:
        """By hook. One that another key encrypts raises StoreError."""
        async with self._db.connection() as db:
            return await self._read(db)

    async def _read(self, db: Connection) -> dict[str, str]:
        rows = await tuples(
            db,
            "select id, purpose from mailfleet.secrets where starts_with(purpose, %s) order by created_at",
            [self._purpose],
        )
        return {purpose.removeprefix(self._purpose): (await self._vault.get(db, id)).decode() for id, purpose in rows}
