"""What a migration needs of both platforms, asked before anything is planned: a way back has to exist first."""

from __future__ import annotations

from mailfleet.errors import NotAllowed
from mailfleet.platforms.port import Capabilities
from mailfleet.services.context import Fleet

_NEEDED = {
    "draft_campaigns": "it has no campaign that holds leads and sends nothing, so nothing can be prepared on it",
    "pause_read_back": "whether a campaign of it is paused cannot be read, so nobody can tell that it has stopped",
}
_NEEDED_OF_THE_OLD = {
    "positions": "how far each lead has come is not known there, so a lead could get a mail twice",
}


def check(fleet: Fleet, from_platform: str, to_platform: str) -> None:
    """Raises NotAllowed with every capability that is missing, and why it is needed. A platform that is not connected
    yet may be planned for."""
    connected = {name for _, name, _ in fleet.accounts()}
    wanted = {from_platform: {**_NEEDED, **_NEEDED_OF_THE_OLD}, to_platform: _NEEDED}
    reasons = [
        reason
        for name, needed in wanted.items()
        if name in connected
        for reason in _lacking(name, fleet.speaker(name).capabilities, needed)
    ]
    if reasons:
        raise NotAllowed(
            f"A migration from {from_platform} to {to_platform} cannot be done.",
            reasons=tuple(reasons),
            hint="Make new campaigns there, and let the old ones end where they are.",
        )


def _lacking(name: str, capabilities: Capabilities, needed: dict[str, str]) -> list[str]:
    found = [f"{name}: {why} ({what})" for what, why in needed.items() if not getattr(capabilities, what)]
    if capabilities.stop_lead == "none":
        found.append(f"{name}: a single lead cannot be stopped there (stop_lead)")
    if capabilities.stop_lead == "address" and not capabilities.unblock:
        found.append(f"{name}: a lead that was stopped there cannot be let go on again (unblock)")
    return found
