"""A sequence from a step on, as a sequence of its own: what is sent on another platform after the first steps were."""

from __future__ import annotations

import hashlib

import msgspec

from mailfleet.rules.campaigns import CampaignConfig, Step


def from_step(config: CampaignConfig, first: int, name: str) -> CampaignConfig:
    """The steps from `first` on, numbered anew; the first goes out at once, its wait has passed or begins again.

    A step without a subject stays in its thread; the thread is not there any more, so it takes the subject it followed.
    """
    left = [step for step in config.sequence if step.step >= first]
    made: list[Step] = []
    for number, step in enumerate(left, 1):
        subject = step.subject or (_answering(config, step.step) if number == 1 else "")
        made.append(
            msgspec.structs.replace(step, step=number, subject=subject, delay_days=step.delay_days if number > 1 else 0)
        )
    return msgspec.structs.replace(config, name=name, sequence=tuple(made))


def _answering(config: CampaignConfig, position: int) -> str:
    before = [step.subject for step in config.sequence if step.step < position and step.subject]
    return f"Re: {before[-1]}" if before else ""


def digest(lines: list[tuple[int, str, int]]) -> str:
    """Of a snapshot: (lead, campaign, next step), in order."""
    text = "\n".join(f"{lead} {campaign} {step}" for lead, campaign, step in sorted(lines))
    return hashlib.sha256(text.encode()).hexdigest()
