"""What every service is given: the parts, as ports, put together by `wiring` alone."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailfleet.clock import Clock
from mailfleet.platforms.port import SendingPlatform
from mailfleet.platforms.ports import DnsHost, MailboxHost, Names, NoticeChannel, Registrar
from mailfleet.policy.model import Policy
from mailfleet.store.database import Database
from mailfleet.store.secrets import Vault


@dataclass
class Fleet:
    """The parts a service works with. `actor` is who acts, as written into transitions and the audit."""

    db: Database
    clock: Clock
    policy: Policy
    vault: Vault
    platforms: Mapping[str, SendingPlatform]
    dns_hosts: Mapping[str, DnsHost]
    mailbox_hosts: Mapping[str, MailboxHost]
    channels: Mapping[str, NoticeChannel]
    names: Names
    registrars: Mapping[str, Registrar] = field(default_factory=dict)
    webhook_base: str = ""
    """Public address of the receiver including the unguessable path token; the platform's name is appended."""
    slack_channels: Mapping[str, str] = field(default_factory=dict)
    sms_numbers: tuple[str, ...] = ()
    suppression_key: bytes = b""
    """Keys the hash that outlives an erasure (L9)."""
    default_platform: str = "smartlead"
    actor: str = "machine"
    rng: random.Random = field(default_factory=random.Random)

    def platform(self, name: str | None = None) -> SendingPlatform:
        return self.platforms[name or self.default_platform]
