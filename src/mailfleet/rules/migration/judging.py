"""One door to all triggers: inputs and figures in, verdict out; and the same again from what was stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mailfleet.rules.migration import availability, bounce, bug, placement, plain, reply
from mailfleet.rules.migration.parameters import Parameters
from mailfleet.rules.migration.verdicts import Trigger, Verdict

Inputs = (
    bounce.Inputs
    | placement.Inputs
    | reply.Inputs
    | availability.Inputs
    | bug.Inputs
    | plain.WarmupInputs
    | plain.CostInputs
)
KINDS: Mapping[Trigger, type[Any]] = {
    "bounce": bounce.Inputs,
    "placement": placement.Inputs,
    "reply": reply.Inputs,
    "api": availability.Inputs,
    "bug": bug.Inputs,
    "warmup": plain.WarmupInputs,
    "cost": plain.CostInputs,
}


def judge(inputs: Inputs, parameters: Parameters) -> Verdict:
    match inputs:
        case bounce.Inputs():
            return bounce.judge(inputs, parameters.bounce)
        case placement.Inputs():
            return placement.judge(inputs, parameters.placement)
        case reply.Inputs():
            return reply.judge(inputs, parameters.reply)
        case availability.Inputs():
            return availability.judge(inputs, parameters.api)
        case bug.Inputs():
            return bug.judge(inputs, parameters.bug)
        case plain.WarmupInputs():
            return plain.warmup(inputs, parameters.warmup)
        case plain.CostInputs():
            return plain.cost(inputs, parameters.cost)


def replay(trigger: Trigger, stored: Mapping[str, Any], parameters: Parameters) -> Verdict:
    """The verdict that these stored inputs give under these figures."""
    return judge(msgspec.convert(stored, KINDS[trigger]), parameters)
