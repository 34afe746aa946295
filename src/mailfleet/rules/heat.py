"""The heat of a mailbox: ours, 0–100, never a guess (V3)."""

from __future__ import annotations

from typing import Literal

import msgspec

HeatState = Literal["UNKNOWN", "THIN", "OK"]


class Heat(msgspec.Struct, frozen=True, kw_only=True):
    """`value` is None unless `state` is OK. UNKNOWN: nothing was read; THIN: too little warm-up mail to tell."""

    value: float | None
    state: HeatState


def heat(reputation: float | None, inbox: int | None, sent: int | None, *, thin_below: int = 20) -> Heat:
    """The lower of the vendor's reputation (0–100) and the 7-day inbox share of warm-up mail (× 100).

    `thin_below` is `policy.lifecycle.thin_below`. Without the vendor's figure the share alone decides.
    """
    if sent is None or inbox is None or sent < 0 or inbox < 0 or score(reputation) != reputation:
        return Heat(value=None, state="UNKNOWN")
    if sent < max(1, thin_below):
        return Heat(value=None, state="THIN")
    share = 100 * min(inbox, sent) / sent
    value = share if reputation is None else min(reputation, share)
    return Heat(value=round(max(0.0, min(100.0, value)), 1), state="OK")


def score(told: float | None) -> float | None:
    """None for what is no figure from 0 to 100: it says nothing of the mailbox (I10)."""
    return told if told is not None and 0 <= told <= 100 else None
