"""Secrets in the database, by envelope encryption (I8).

Each row has a data key of its own (AES-256-GCM), wrapped by the key-encryption key (KEK), which never enters the
database. The row's id and purpose are authenticated with it, so a ciphertext cannot be moved to another row. Rotating
the KEK wraps the data keys anew and leaves the ciphertexts alone.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
from pathlib import Path
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailfleet.errors import ConfigError, StoreError, Unknown
from mailfleet.store.database import Connection, execute, tuples

_NONCE = 12
_KEY = 32


class Kek:
    """A key-encryption key of 32 bytes. `id` is a fingerprint that may be shown; the key never is."""

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY:
            raise ConfigError(f"The key-encryption key has {len(key)} bytes, not {_KEY}.", hint=_HINT)
        self._cipher = AESGCM(key)
        self.id = hashlib.blake2b(key, digest_size=8, person=b"mailfleet-kek").hexdigest()

    def __repr__(self) -> str:
        return f"Kek(id={self.id!r})"

    def wrap(self, data_key: bytes, about: bytes) -> bytes:
        return _seal(self._cipher, data_key, about)

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        return self._cipher.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], about)


_HINT = (
    "MAILFLEET_KEK (or the file named by MAILFLEET_KEK_FILE) is 32 random bytes in base64: `openssl rand -base64 32`."
)


def read_kek(text: str) -> Kek:
    """A KEK from base64 (also of the URL kind). Raises ConfigError without showing the text."""
    try:
        key = base64.b64decode("".join(text.split()).replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("The key-encryption key is not base64.", hint=_HINT) from None
    return Kek(key)


def load_kek(text: str | None, file: Path) -> Kek:
    """The KEK given as `text`, else the one in `file`, which is made with mode 0600 when it is not there.

    Raises ConfigError when the key is malformed, the file cannot be read or made, or others may read it.
    """
    if text:
        return read_kek(text)
    try:
        with contextlib.suppress(FileExistsError):
            _make(file)
        if file.stat().st_mode & 0o077 and os.name == "posix":
            raise ConfigError(f"Others may read the key file {file}.", hint=f"`chmod 600 {file}`.")
        return read_kek(file.read_text())
    except UnicodeDecodeError:
        raise ConfigError(f"The key file {file} holds no base64.", hint=_HINT) from None
    except OSError as error:
        raise ConfigError(
            f"The key file {file} cannot be used: {error.strerror}.",
            hint="Give this account the right to it, name another with MAILFLEET_KEK_FILE, or set MAILFLEET_KEK.",
        ) from error


def _make(file: Path) -> None:
    """Whole or not at all: racing processes end up with the same key."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.{uuid4().hex}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(base64.b64encode(os.urandom(_KEY)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        os.link(new, file)
    finally:
        new.unlink()


class Vault:
    """Puts and gets secrets. `former` are KEKs that rows may still be wrapped with until `rotate` has run."""

    def __init__(self, kek: Kek, *, former: tuple[Kek, ...] = ()) -> None:
        self.kek = kek
        self._keks = {each.id: each for each in (kek, *former)}

    def __repr__(self) -> str:
        return f"Vault({self.kek!r})"

    async def put(self, db: Connection, purpose: str, secret: bytes) -> UUID:
        """Stores a secret; `purpose` is in clear and says what it is for."""
        id, data_key = uuid4(), AESGCM.generate_key(256)
        about = _about(id, purpose)
        await execute(
            db,
            "insert into mailfleet.secrets (id, purpose, key_id, wrapped_key, ciphertext) values (%s, %s, %s, %s, %s)",
            [id, purpose, self.kek.id, self.kek.wrap(data_key, about), _seal(AESGCM(data_key), secret, about)],
        )
        return id

    async def get(self, db: Connection, id: UUID) -> bytes:
        """The secret in clear. Raises Unknown for no such row, StoreError when no KEK at hand opens it."""
        found = await tuples(
            db, "select purpose, key_id, wrapped_key, ciphertext from mailfleet.secrets where id = %s", [id]
        )
        if not found:
            raise Unknown(f"There is no secret {id}.")
        purpose, key_id, wrapped, ciphertext = found[0]
        about = _about(id, purpose)
        data_key = self._unwrap(id, key_id, wrapped, about)
        try:
            return AESGCM(data_key).decrypt(ciphertext[:_NONCE], ciphertext[_NONCE:], about)
        except InvalidTag:
            raise _damaged(id) from None

    async def kept(self, db: Connection, purpose: str) -> bytes:
        """32 random bytes made at first use and the same ever after, also when the KEK is rotated."""
        async with db.transaction():
            await execute(db, "select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"mailfleet.secrets:{purpose}"])
            found = await tuples(
                db, "select id from mailfleet.secrets where purpose = %s order by created_at", [purpose]
            )
            return await self.get(db, found[0][0] if found else await self.put(db, purpose, os.urandom(_KEY)))

    async def rotate(self, db: Connection, *, batch: int = 500) -> int:
        """Wraps every data key with the current KEK; how many rows it changed. Safe to stop and to start again."""
        changed = 0
        while found := await tuples(
            db,
            "select id, purpose, key_id, wrapped_key from mailfleet.secrets where key_id <> %s order by id limit %s",
            [self.kek.id, batch],
        ):
            for id, purpose, key_id, wrapped in found:
                changed += await self._rewrap(db, id, purpose, key_id, wrapped)
        return changed

    async def _rewrap(self, db: Connection, id: UUID, purpose: str, key_id: str, wrapped: bytes) -> int:
        about = _about(id, purpose)
        anew = self.kek.wrap(self._unwrap(id, key_id, wrapped, about), about)
        return await execute(
            db,
            """update mailfleet.secrets set key_id = %s, wrapped_key = %s, rotated_at = now()
               where id = %s and key_id = %s""",
            [self.kek.id, anew, id, key_id],
        )

    def _unwrap(self, id: UUID, key_id: str, wrapped: bytes, about: bytes) -> bytes:
        if not (kek := self._keks.get(key_id)):
            raise StoreError(
                f"Secret {id} was encrypted with key {key_id}; the key at hand is {self.kek.id}.",
                hint="Give back the old MAILFLEET_KEK, or rotate: `mailfleet db rotate-keys --old-key-file FILE`.",
            )
        try:
            return kek.unwrap(wrapped, about)
        except InvalidTag:
            raise _damaged(id) from None


def _about(id: UUID, purpose: str) -> bytes:
    return id.bytes + purpose.encode()


def _seal(cipher: AESGCM, clear: bytes, about: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, clear, about)


def _damaged(id: UUID) -> StoreError:
    return StoreError(
        f"Secret {id} is damaged: it does not fit its key.", hint="Restore the row from a backup, or store it anew."
    )
