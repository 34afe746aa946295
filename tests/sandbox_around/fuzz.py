"""Any call a face's own description allows, and some it does not: answers must be those it describes.

Calls come from schemathesis, seeded; numbers of things that exist are put in, so that calls get past the first check.
An answer is judged here, by the description alone: its status, its media type, its schema.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from xml.etree.ElementTree import fromstring

import httpx2
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from jsonschema import Draft202012Validator
from schemathesis.generation import GenerationMode
from tests.sandbox_around.fuzz_scene import Known, Scene

from mailfleet.sandbox.within import ROOT

FACES = (
    "smartlead",
    "smartdelivery",
    "smartsenders",
    "cloudflare",
    "namecheap",
    "slack",
    "twilio",
    "control",
    "status",
)
_LONGEST_JUMP = 600
# A login at a host of chance would ask the network.
_ALWAYS = ("smtp_host", "imap_host")
# The share of calls that come without a key.
_KEYLESS = 0.05
_OUTSIDE = re.compile(r"[^A-Za-z0-9_:@-]")


@dataclass
class Found:
    """What a search saw."""

    cases: int = 0
    answered: dict[int, int] = field(default_factory=dict[int, int])
    wrong: list[str] = field(default_factory=list[str])
    # Operation to how often it did what it is for.
    good: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def never(self) -> list[str]:
        """Operations that refused every call: nothing behind their first check was seen."""
        return [name for name, times in self.good.items() if not times]


def search(face: str, examples: int, number: int) -> Found:
    """So many calls for each operation of a face."""
    with asyncio.Runner() as runner:
        scene = runner.run(Scene().built())
        described = runner.run(scene.http.get(f"/{face}/openapi.json")).json()
        hunt = Hunt(scene, face, judging(described), random.Random(f"{face}:{number}"))
        schema = schemathesis.openapi.from_dict(described)
        operations: list[Any] = [cast(Any, result).ok() for result in schema.get_all_operations()]
        operations.sort(key=_late)
        for operation in operations:
            hunt.found.good[f"{operation.method.upper()} {operation.path}"] = 0
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                _drive(operation, mode, max(1, examples // 2), number, lambda case: runner.run(hunt.call(case)))
        runner.run(scene.http.aclose())
    return hunt.found


def _late(operation: Any) -> tuple[int, int]:
    """What takes things away comes last, parts before wholes, campaigns and what is in them at the very end."""
    if operation.path.endswith("/status"):
        return 1, 0
    if operation.method.upper() == "DELETE" or operation.path.endswith(("/delete", "/sequences")):
        return 3 if "/campaigns" in operation.path else 2, -len(operation.path)
    return 0, 0


def _drive(operation: Any, mode: GenerationMode, examples: int, number: int, one: Callable[[Any], None]) -> None:
    # Not every operation can be called wrongly.
    kept = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=cast(list[HealthCheck], list(HealthCheck)),
    )
    try:
        seed(number)(kept(given(case=operation.as_strategy(generation_mode=mode))(one)))()
    except schemathesis.errors.InvalidSchema:
        raise
    except Exception as error:
        if type(error).__name__ != "Unsatisfiable":
            raise


@dataclass
class Hunt:
    """Calls to one face of one world."""

    scene: Scene
    face: str
    judge: Callable[[Any, Any], str | None]
    odd: random.Random
    found: Found = field(default_factory=Found)

    async def call(self, case: Any) -> None:
        """Makes the case a call that may get somewhere, makes it, and judges the answer."""
        self._put_in(case)
        sent = case.as_transport_kwargs(base_url=ROOT)
        sent.pop("cookies", None)
        if isinstance(sent.get("data"), str | bytes):
            sent["content"] = sent.pop("data")
        if self.odd.random() >= _KEYLESS:
            self._authorise(sent)
        try:
            answer = await self.scene.http.request(**sent)
        except (httpx2.InvalidURL, UnicodeError, ValueError):
            return
        self._count(case, sent, answer)

    def _count(self, case: Any, sent: Mapping[str, Any], answer: httpx2.Response) -> None:
        self.found.cases += 1
        self.found.answered[answer.status_code] = self.found.answered.get(answer.status_code, 0) + 1
        self.found.good[f"{case.method.upper()} {case.path}"] += _good(self.face, answer)
        complaint = self.judge(case, answer)
        if complaint:
            told = f"{case.method} {case.path}: {complaint}\n  sent {sent}\n  got {answer.text[:400]}"
            self.found.wrong.append(told)

    def _authorise(self, sent: dict[str, Any]) -> None:
        query, form, headers = self.scene.credentials(self.face)
        sent["params"] = {**(sent.get("params") or {}), **query}
        if isinstance(sent.get("data"), dict):
            sent["data"] |= form
        made = (sent.get("headers") or {}).items()
        sent["headers"] = {name: value for name, value in made if name.lower() != "authorization"} | headers

    def _put_in(self, case: Any) -> None:
        """Replaces most made-up values by those of things that exist; sometimes all of them."""
        known, share = self.scene.known[self.face], self.odd.choice((0.7, 1.0))
        parameters = case.path_parameters or {}
        for name in parameters:
            if name in known and self.odd.random() < share:
                parameters[name] = str(self._picked(known[name], case.path))
            # What is no part of a path would ask for another path.
            parameters[name] = _OUTSIDE.sub("", str(parameters[name])) or "x"
        for name in case.query or {}:
            if name in known and self.odd.random() < share:
                case.query[name] = str(self._picked(known[name], case.path))
        if isinstance(case.body, dict | list):
            case.body = self._replaced(known, case.body, case.path, share)
        if self.face == "control" and isinstance(case.body, dict):
            case.body = _short(case.body)

    def _picked(self, held: Any, path: str) -> Any:
        return held(self.odd, path) if callable(held) else held

    def _replaced(self, known: Known, value: Any, path: str, share: float) -> Any:
        if isinstance(value, list):
            return [self._replaced(known, entry, path, share) for entry in value]
        if not isinstance(value, dict):
            return value
        done: dict[str, Any] = {}
        for name, held in value.items():
            if name in known and (name in _ALWAYS or self.odd.random() < share):
                found = self._picked(known[str(name)], path)
                done[str(name)] = [found] if isinstance(held, list) and not isinstance(found, list) else found
            else:
                done[str(name)] = self._replaced(known, held, path, share)
        return done


def _good(face: str, answer: httpx2.Response) -> bool:
    """Whether the call did what it is for; two vendors refuse with status 200."""
    if face == "namecheap" and "xml" in answer.headers["content-type"]:
        return fromstring(answer.text).get("Status") == "OK"
    if face == "slack" and "json" in answer.headers["content-type"]:
        return answer.json()["ok"]
    return answer.status_code < 300


def _short(body: Mapping[str, Any]) -> dict[str, Any]:
    """A jump of the clock that takes no time to make, and no fault that hangs."""
    kept = {name: value for name, value in body.items() if name not in ("to", "until", "days")}
    if isinstance(kept.get("seconds"), int | float):
        kept["seconds"] = min(kept["seconds"], _LONGEST_JUMP)
    return kept


def judging(described: Mapping[str, Any]) -> Callable[[Any, Any], str | None]:
    """What is wrong about an answer by the description, or None."""
    checks: dict[tuple[str, str, int], Draft202012Validator] = {}

    def judge(case: Any, answer: Any) -> str | None:
        answers = described["paths"][case.path][case.method.lower()]["responses"]
        told = answers.get(str(answer.status_code))
        if told is None:
            return f"status {answer.status_code} is not described"
        media = answer.headers.get("content-type", "").partition(";")[0]
        if media not in told["content"]:
            return f"media type {media!r} is not described"
        if "xml" in media and fromstring(answer.text).get("Status") not in ("OK", "ERROR"):
            return "an answer without a status"
        if "json" not in media:
            return None
        key = (case.method, case.path, answer.status_code)
        if key not in checks:
            checks[key] = Draft202012Validator(told["content"][media]["schema"])
        error = next(checks[key].iter_errors(json.loads(answer.text)), None)
        return None if error is None else f"{answer.status_code}: {list(error.absolute_path)}: {error.message[:300]}"

    return judge
