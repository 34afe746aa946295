"""Shelves: a folder of this machine, and any S3-compatible bucket (Supabase Storage by its S3 protocol included)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store

from mailfleet.errors import AlreadyThere, ShelfError, Unknown

if TYPE_CHECKING:
    Store: TypeAlias = LocalStore | S3Store


class ObjectShelf:
    """A shelf on an object store. Writes are create-only, by the store's own conditional put."""

    def __init__(self, name: str, address: str, store: Store) -> None:
        self.name, self.address, self._store = name, address, store

    async def create(self, key: str, data: bytes) -> None:
        try:
            # One request even for a large part: a multipart upload cannot be made conditional everywhere.
            await obstore.put_async(self._store, key, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            raise AlreadyThere(
                f"{self.address} has {key} already.", hint="Nothing is ever overwritten there."
            ) from None
        except (BaseError, OSError) as error:
            raise self._refused("written", key, error) from None

    async def read(self, key: str) -> bytes:
        try:
            return bytes(await (await obstore.get_async(self._store, key)).bytes_async())
        except FileNotFoundError:
            raise Unknown(
                f"{self.address} has no {key}.", hint="`mailfleet export list` shows what there is."
            ) from None
        except (BaseError, OSError) as error:
            raise self._refused("read", key, error) from None

    async def keys(self, prefix: str) -> Sequence[str]:
        try:
            found = await obstore.list(self._store, prefix=prefix).collect_async()
        except (BaseError, OSError) as error:
            raise self._refused("listed", prefix, error) from None
        return sorted(str(each["path"]) for each in found)

    async def delete(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise self._refused("deleted", key, error) from None

    def _refused(self, done: str, key: str, error: Exception) -> ShelfError:
        """The store's own words are cut to their first line: the rest is its configuration."""
        said = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        return ShelfError(
            f"{key} could not be {done} at {self.address}: {said}.",
            hint="Check the address, the credentials and the free space; the export goes on where it stopped.",
        )


def folder(path: Path) -> ObjectShelf:
    """A folder, made if missing and readable by this account alone. Raises ShelfError."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ShelfError(f"{path} cannot be used: {error.strerror}.", hint="Set EXPORT_FOLDER to another.") from None
    return ObjectShelf("folder", str(path), LocalStore(path))


def bucket(
    address: str, *, key_id: str, secret: str, region: str = "us-east-1", endpoint: str = "", retries: int = 3
) -> ObjectShelf:
    """`s3://BUCKET/PREFIX`. `endpoint` is the address of a service that is not Amazon's."""
    name, _, prefix = address.removeprefix("s3://").partition("/")
    more: dict[str, Any] = {"endpoint": endpoint, "virtual_hosted_style_request": False} if endpoint else {}
    store = S3Store(
        name,
        prefix=prefix.strip("/") or None,
        access_key_id=key_id,
        secret_access_key=secret,
        region=region,
        client_options={"allow_http": endpoint.startswith("http://")},
        retry_config={"max_retries": retries},
        **more,
    )
    return ObjectShelf("bucket", address, store)
