"""What every service is given: the parts, as ports, put together by `wiring` alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog

from mailfleet.clock import Clock
from mailfleet.errors import PolicyError
from mailfleet.platforms.archive import ExportSource, Shelf
from mailfleet.platforms.kept import Kept, Rows
from mailfleet.platforms.port import SendingPlatform
from mailfleet.platforms.ports import DnsHost, MailboxHost, Names, NoticeChannel, Registrar, StatusSource
from mailfleet.policy.load import Loaded, for_client
from mailfleet.policy.model import Policy
from mailfleet.store.clients import Client
from mailfleet.store.database import Database
from mailfleet.store.lead_source import Source
from mailfleet.store.secrets import Vault

log = structlog.get_logger(__name__)


@dataclass
class Fleet:
    """The parts a service works with. `actor` is who acts, as written into transitions and the audit.

    What is done for one client is done with `of(client)`: the same parts with that client's policy and accounts.
    """

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
    status_pages: Mapping[str, StatusSource] = field(default_factory=dict)
    """By vendor; looked up when it does not answer in time."""
    webhook_base: str = ""
    """Public address of the receiver including the unguessable path token; the platform's name is appended."""
    slack_channels: Mapping[str, str] = field(default_factory=dict)
    sms_numbers: tuple[str, ...] = ()
    suppression_key: bytes = b""
    """Keys the hash that outlives an erasure (L9)."""
    default_platform: str = "smartlead"
    actor: str = "machine"
    sync_delay: timedelta | None = None
    """From a webhook to the lead sync of its campaign; None: its schedule alone runs it."""
    rng: random.Random = field(default_factory=random.Random)
    client_platforms: Mapping[str, Mapping[str, SendingPlatform]] = field(default_factory=dict)
    """A client's own accounts, by its slug with `_` for `-`; a client without one uses the common account."""
    lead_sources: Sequence[Source] = ()
    """Tables of leads that are not ours."""
    sources: Mapping[str, ExportSource] = field(default_factory=dict)
    """What can be exported, by name."""
    archives: Mapping[str, Callable[[Rows], Kept]] = field(default_factory=dict)
    """By platform: reads its archives in our words."""
    shelves: tuple[Shelf, ...] = ()
    """Where exports are put."""
    export_recipients: tuple[str, ...] = ()
    """age keys that exports are encrypted to."""
    client_id: UUID | None = None
    """Whose parts these are; None: the workspace's."""
    workspace: Fleet | None = field(default=None, repr=False)
    _policies: dict[bytes, tuple[Policy, Policy]] = field(default_factory=dict, repr=False)

    def platform(self, name: str | None = None) -> SendingPlatform:
        return self.platforms[name or self.default_platform]

    def of(self, client: Client) -> Fleet:
        """The parts as this client has them: its overrides on the policy, its own account where it has one.

        Overrides that no longer fit the workspace's policy are left out as a whole; `clients.check_policies` tells.
        """
        if self.workspace:
            return self if self.client_id == client.id else self.workspace.of(client)
        own = self.client_platforms.get(client.slug.replace("-", "_"), {})
        return replace(
            self,
            policy=self._policy_or_ours(client),
            platforms={**self.platforms, **own} if own else self.platforms,
            client_id=client.id,
            workspace=self,
        )

    def policy_of(self, client: Client) -> Policy:
        """The workspace's policy with the client's overrides on top. Raises PolicyError."""
        if not client.policy:
            return self.policy
        key = client.slug.encode() + msgspec.json.encode(client.policy, order="sorted")
        known = self._policies.get(key)
        if known is None or known[0] is not self.policy:
            made = for_client(Loaded(policy=self.policy, sources={}), client.slug, client.policy)
            known = self._policies[key] = (self.policy, made)
        return known[1]

    def accounts(self) -> Iterator[tuple[str, str, SendingPlatform]]:
        """Every account there is: ("" or the client's slug as above, the platform's name, the platform)."""
        for slug, platforms in (("", self.platforms), *self.client_platforms.items()):
            for name, platform in platforms.items():
                yield slug, name, platform

    def account(self, slug: str, name: str) -> SendingPlatform:
        """One of `accounts`; the common one when the client has none of its own any more."""
        return self.client_platforms.get(slug, {}).get(name) or self.platforms[name]

    def speaker(self, name: str) -> SendingPlatform:
        """Any account at this platform, for what is alike in all of them: its words, its capabilities."""
        found = (platform for _, known, platform in self.accounts() if known == name)
        return next(found, None) or self.platforms[name]

    def _policy_or_ours(self, client: Client) -> Policy:
        try:
            return self.policy_of(client)
        except PolicyError as error:
            log.warning("a client's policy is left out", client=client.slug, error=str(error))
            return self.policy
