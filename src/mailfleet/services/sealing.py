"""Encryption of archives with age (age-encryption.org): to one or more recipients, opened by any one of their keys.

Whoever has no key has nothing: there is no way back into an archive whose keys are lost, and the errors say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyrage

from mailfleet.errors import BadFile, ConfigError, LostKey, Tampered


class Seal:
    """Encrypts to these recipients."""

    def __init__(self, recipients: Sequence[str]) -> None:
        """`recipients` are public keys (`age1…`). Raises ConfigError for none, and for one that is not such a key."""
        if not recipients:
            raise ConfigError(
                "No recipient is set for exports.",
                hint="Make a key with `mailfleet export key FILE` and put its `age1…` into EXPORT_RECIPIENTS.",
            )
        self.recipients = tuple(recipients)
        self._keys = [_recipient(text) for text in recipients]

    def encrypt(self, clear: bytes) -> bytes:
        return pyrage.encrypt(clear, self._keys)


class Opener:
    """Decrypts with the identities of a key file."""

    def __init__(self, identities: Sequence[pyrage.x25519.Identity]) -> None:
        self._identities = list(identities)

    def decrypt(self, key: str, sealed: bytes) -> bytes:
        """`key` names the file. Raises LostKey when none of our identities fits, Tampered when it was changed."""
        try:
            return pyrage.decrypt(sealed, self._identities)
        except pyrage.DecryptError as error:
            said = str(error).lower()
            if "no matching" in said or "identit" in said:
                raise LostKey(
                    f"{key} is not encrypted to any key in the key file.",
                    hint="Use the key file of a recipient named in the index. Without one nobody can open the archive.",
                ) from None
            raise Tampered(
                f"{key} is not what was written: {error}.", hint="Take the copy of another place, and find out who."
            ) from None


def key_file(path: Path) -> Opener:
    """The identities (`AGE-SECRET-KEY-1…`) of a file as `age-keygen` writes it. Raises BadFile."""
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}.", hint="Name the age key file.") from None
    except (pyrage.IdentityError, UnicodeDecodeError):
        raise BadFile(
            f"{path} holds a line that is no age key.", hint="It should hold lines that begin with AGE-SECRET-KEY-1."
        ) from None
    if not found:
        raise BadFile(f"{path} holds no key.", hint="It should hold a line that begins with AGE-SECRET-KEY-1.")
    return Opener(found)


def new_key(path: Path) -> str:
    """Makes a key in a new file that only this account reads; the public part. Raises BadFile when the file exists."""
    made = pyrage.x25519.Identity.generate()
    public = str(made.to_public())
    try:
        path.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise BadFile(f"{path} cannot be made: {error.strerror}.", hint="Name a new file.") from None
    path.write_text(f"# public key: {public}\n{made}\n")
    return public


def _recipient(text: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError:
        raise ConfigError(
            f"{text[:12]}… is not the public key of an age recipient.", hint="EXPORT_RECIPIENTS holds keys like age1…"
        ) from None
