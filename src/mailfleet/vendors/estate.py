"""What Infraforge and Mailforge have in common: domains, their records, mailboxes and their logins."""

from __future__ import annotations

from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Unknown fields are ignored; a missing or unfit one we rely on is `Drift`."""


class Workspace(Model, frozen=True, kw_only=True):
    id: str
    name: str = ""
    mailserver: str | None = None
    """SMTP and IMAP host of every mailbox in it, where it is shown."""


class Domain(Model, frozen=True, kw_only=True):
    """The whole name is nowhere: `sld` + `.` + `tld`."""

    id: str
    sld: str
    tld: str
    status: str = ""
    workspace_id: str = ""
    auto_renew_status: str = ""
    expires_at: str | None = None
    created_at: str | None = None
    nameservers: list[str] | None = None

    @property
    def name(self) -> str:
        return f"{self.sld}.{self.tld}".lower()


class Record(Model, frozen=True, kw_only=True):
    """`name` is the full host; the apex is the domain itself."""

    name: str
    type: str
    value: str
    editable: bool = True


class Credentials(Model, frozen=True, kw_only=True):
    """Both logins of a mailbox. Shown to nobody."""

    smtp_host: str
    smtp_port: int
    smtp_username: str
    smtp_password: str
    imap_host: str
    imap_port: int
    imap_username: str
    imap_password: str

    def __repr__(self) -> str:
        return "Credentials()"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class Mailbox(Model, frozen=True, kw_only=True):
    id: str
    email: str
    first_name: str = ""
    last_name: str = ""
    domain: str = ""
    status: str = ""
    workspace_id: str = ""
    forwarding_email: str | None = None
    signature: str | None = None
    created_at: str | None = None
    credentials: Credentials | None = None
    """None: not asked for, or not there yet."""


def asking(with_credentials: bool) -> dict[str, str]:
    return {"with_credentials": "true"} if with_credentials else {}
