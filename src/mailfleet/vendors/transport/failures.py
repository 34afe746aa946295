"""From an answer, or the lack of one, to one typed error with what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast, get_origin

import msgspec

from mailfleet.errors import (
    Ambiguous,
    CircuitOpen,
    Conflict,
    Drift,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
    VendorError,
)
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.operation import Failure, Operation
from mailfleet.vendors.transport.secret import Redactor
from mailfleet.vendors.transport.wire import Lost

T = TypeVar("T")
SHOWN = 200
_BY_STATUS: Mapping[int, type[VendorError]] = {
    400: Invalid, 401: Unauthorized, 402: Forbidden, 403: Forbidden, 404: NotFound, 408: Unavailable,
    409: Conflict, 422: Invalid, 429: RateLimited,
}  # fmt: skip
_MEANS: Mapping[type[VendorError], int] = {Unauthorized: 401, RateLimited: 429, Unavailable: 503}
_HINTS: Mapping[type[VendorError], str] = {
    Unauthorized: "Check the key in the settings: `mailfleet config show` names where it was looked for.",
    Forbidden: "The key's plan or rights do not cover this, or an edge rule refused the call.",
    NotFound: "It was removed at the vendor, or belongs to another account.",
    Conflict: "Look at the object at the vendor before trying again.",
    Invalid: "Nothing was changed at the vendor; correct what the message names.",
    RateLimited: "Run it again later; the budget already holds back all other calls with this key.",
    Unavailable: "The vendor is failing; calls are retried and the next run takes up what is left.",
    TimedOut: "No answer in time; look at the vendor's status page.",
    CircuitOpen: "It is tried again by itself; `mailfleet doctor` shows the state.",
    Ambiguous: "It is in the journal and is settled by reading; do not repeat it by hand.",
    Drift: "The vendor changed its interface, or its base URL in the settings leads elsewhere.",
    VendorError: "Does the vendor's base URL in the settings lead to its API?",
}
_WHERE = re.compile(r" - at `([^`]*)`")


def text_of(answer: Answer) -> str:
    """What a body says went wrong: `error.message`, else `error`, else `message`, else its start (smartlead:errors)."""
    error = answer.fields.get("error")
    if isinstance(error, Mapping) and isinstance(error.get("message"), str):
        return error["message"]
    for said in (error, answer.fields.get("message")):
        if isinstance(said, str) and said:
            return said
    if answer.kind == "html":
        return "an HTML page" + (f" ({title})" if (title := _title(answer.text)) else "")
    shown = answer.text or (msgspec.json.encode(answer.data).decode() if answer.data is not None else "")
    return shown.strip()[:SHOWN] or "an empty body"


def by_status(answer: Answer, message: str = "") -> Failure | None:
    """The usual meaning of a status; a vendor's `judge` looks into the body first. None: a success."""
    status = answer.status
    if 200 <= status < 300:
        return None
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else VendorError)
    return Failure(kind=kind, message=message or text_of(answer), settled=status < 500 and status != 408)


def counted(operation: Operation, result: Answer | Lost, failure: Failure | None) -> str:
    """How a call is counted: its status, or the one it means where a vendor says it in other words."""
    if isinstance(result, Lost):
        return result.name
    if failure is None or operation.own_limit:
        return str(result.status)
    usual = _BY_STATUS.get(result.status, Unavailable if result.status >= 500 else VendorError)
    return str(result.status if usual is failure.kind else _MEANS.get(failure.kind, result.status))


def raised(
    vendor: str, operation: Operation, answer: Answer, failure: Failure, redactor: Redactor, wait: float | None
) -> VendorError:
    """The error for an answer that is not a success."""
    kind = Ambiguous if operation.write and not failure.settled else failure.kind
    said = redactor.text(failure.message)
    outcome = "may or may not have taken effect" if kind is Ambiguous else "failed"
    asked = f" It asks to wait {wait:.0f} s." if wait else ""
    return kind(
        f"{vendor} {operation.name} {outcome}: {said} (HTTP {answer.status}).{asked}",
        vendor=vendor,
        operation=operation.name,
        status=answer.status,
        request_id=answer.request_id,
        retry_after=wait,
        body=redactor.body(answer.text, answer.data),
        hint=failure.hint or hint(kind),
    )


def unanswered(vendor: str, operation: Operation, lost: Lost, redactor: Redactor) -> VendorError:
    """The error for a call that got no answer."""
    if operation.write and lost.sent:
        kind, what = Ambiguous, "left and got no answer, so its outcome is unknown"
    else:
        kind, what = (TimedOut if lost.timed_out and lost.sent else Unavailable), "got no answer"
    return kind(
        f"{vendor} {operation.name} {what}: {_told(lost, redactor)}.",
        vendor=vendor,
        operation=operation.name,
        hint=hint(kind),
    )


def resting(vendor: str, operation: Operation) -> CircuitOpen:
    return CircuitOpen(
        f"{vendor} {operation.name} was not tried: {vendor} has been failing and is given a rest.",
        vendor=vendor,
        operation=operation.name,
        hint=hint(CircuitOpen),
    )


def exhausted(vendor: str, operation: Operation, wait: float) -> RateLimited:
    """Our own budget says to wait longer than we are ready to."""
    return RateLimited(
        f"{vendor} {operation.name} was not sent: the budget of this key is used up for {wait:.0f} s.",
        vendor=vendor,
        operation=operation.name,
        retry_after=wait,
        hint=hint(RateLimited),
    )


def fitted(vendor: str, operation: Operation, answer: Answer, kind: type[T], redactor: Redactor) -> T | Drift:
    """The body as `kind`, digits in strings taken as numbers, or a `Drift` naming the field that does not fit."""
    if kind is Answer:
        return cast("T", answer)
    if answer.data is None:
        return drift(vendor, operation, answer, f"no JSON but {text_of(answer)}", redactor)
    nothing = answer.data == {} and get_origin(kind) is list  # smartlead:errors, lists of unknown ids
    try:
        return msgspec.convert([] if nothing else answer.data, kind, strict=False)
    except msgspec.ValidationError as error:
        told = str(error)
    return drift(vendor, operation, answer, told, redactor)


class Rows(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """`good` fit; `drift` is the first that does not, with how many there were; `read` counts all; `around` is what the
    list came in: totals, numbers of pages."""

    good: list[T]
    read: int
    drift: Drift | None = None
    around: Mapping[str, Any] = {}


def rows(vendor: str, operation: Operation, answer: Answer, kind: type[T], at: str, redactor: Redactor) -> Rows[T]:
    """Each row by itself. No list at all raises `Drift`; `{}` is an empty one (smartlead:errors, salesforge:empty)."""
    raw = [] if answer.data == {} else answer.data
    for name in filter(None, at.split(".")):
        raw = raw.get(name) if isinstance(raw, dict) else raw
    raw = [] if raw == {} else raw
    if not isinstance(raw, list):
        known = answer.data is not None
        told = f"Expected `array` - at `${at and '.' + at}`" if known else f"no JSON but {text_of(answer)}"
        raise drift(vendor, operation, answer, told, redactor)
    try:
        good = msgspec.convert(raw, list[kind], strict=False)
        return Rows(good=good, read=len(raw), around=_around(answer, at))
    except msgspec.ValidationError:
        return _one_by_one(vendor, operation, answer, raw, kind, at, redactor)


def _one_by_one(
    vendor: str, operation: Operation, answer: Answer, raw: list[Any], kind: type[T], at: str, redactor: Redactor
) -> Rows[T]:
    good: list[T] = []
    bad: list[tuple[Any, str]] = []
    for row in raw:
        try:
            good.append(msgspec.convert(row, kind, strict=False))
        except msgspec.ValidationError as error:
            bad.append((row, str(error).replace("`$", f"`${at and '.' + at}[]")))
    row, told = bad[0]
    shown = msgspec.structs.replace(answer, data=row, text="")
    if len(bad) > 1:
        told = f"{told}, and {len(bad) - 1} more rows"
    strange = drift(vendor, operation, shown, told, redactor)
    return Rows(good=good, read=len(raw), drift=strange, around=_around(answer, at))


def _around(answer: Answer, at: str) -> Mapping[str, Any]:
    return {name: value for name, value in answer.fields.items() if name != at}


def drift(vendor: str, operation: Operation, answer: Answer, told: str, redactor: Redactor) -> Drift:
    where = found[1] if (found := _WHERE.search(told)) else "$"
    return Drift(
        f"{vendor} {operation.name} answered in a shape we do not know: {redactor.text(told)}.",
        vendor=vendor,
        operation=operation.name,
        status=answer.status,
        request_id=answer.request_id,
        body=redactor.body(answer.text, answer.data),
        hint=hint(Drift),
        field=where,
    )


def hint(kind: type[VendorError]) -> str:
    return next((text for known, text in _HINTS.items() if kind is known), "")


def _told(lost: Lost, redactor: Redactor) -> str:
    said = redactor.text(lost.message).rstrip(".")
    return lost.name if said in ("", lost.name) else f"{lost.name}: {said}"


def _title(page: str) -> str:
    found = re.search(r"<title>\s*([^<]{1,100})", page, re.I)
    return found[1].strip() if found else ""


def refused_inside(answer: Answer) -> bool:
    """A 200 that says no: `ok:false`, `success:false` (smartlead:errors)."""
    fields: Mapping[str, Any] = answer.fields
    return fields.get("ok") is False or fields.get("success") is False
