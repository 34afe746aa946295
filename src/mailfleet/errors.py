"""Every failure a user can cause or meet.

MailfleetError(code, what happened, hint, context)
├─ ConfigError              a setting, policy or file is missing or wrong
│  ├─ MissingSetting        names every place looked in
│  ├─ PolicyError           overlapping bands, unreachable ramp, unknown metric
│  └─ BadFile               a file the user gave: row, field or key named
├─ StoreError               the database
│  ├─ DatabaseUnavailable   not reachable, wrong version, no permission
│  └─ SchemaOutOfDate       migrations are missing
├─ VendorError              vendor, operation, status, request id, retry_after
│  ├─ Unauthorized  Forbidden  NotFound  Conflict  Invalid
│  ├─ RateLimited  Unavailable  TimedOut
│  ├─ CircuitOpen           not tried: the vendor has been failing
│  ├─ Ambiguous             a write left, its outcome is unknown: reconcile by reading
│  └─ Drift                 the answer no longer fits the model
├─ NotAllowed               a rule or a safeguard refuses, with its reasons
│  ├─ NeedsApproval  StalePlan  Suppressed  OverLimit
├─ Unknown                  the object named does not exist
├─ Busy                     another run holds the object
├─ ProcessFailed            a program we started did not do its part
├─ ExportError              an archive cannot be written, opened or trusted
│  ├─ ShelfError  AlreadyThere  LostKey  Tampered
└─ Interrupted              stopped by a person or a signal
"""

from __future__ import annotations

from typing import ClassVar


class MailfleetError(Exception):
    """Something went wrong that a person can understand and act on."""

    code: ClassVar[str] = "E000"
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, hint: str = "", **context: object) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.context = context

    def __str__(self) -> str:
        return f"{self.what} {self.hint}".strip()

    @property
    def coded(self) -> str:
        """For lists of what went wrong: the code stands first, for people to look up and programs to act on."""
        return f"{self.code} {self}"


class ConfigError(MailfleetError):
    """A setting, policy or file is missing or wrong."""

    code = "C100"
    exit_code = 2


class MissingSetting(ConfigError):
    """A setting is needed and was found in none of the places looked in."""

    code = "C101"


class PolicyError(ConfigError):
    """The policy contradicts itself or names something that does not exist."""

    code = "C102"


class BadFile(ConfigError):
    """A file given by the user cannot be used as it is."""

    code = "C103"


class StoreError(MailfleetError):
    """The database refused or failed."""

    code = "S200"


class DatabaseUnavailable(StoreError):
    """The database cannot be reached, is of a wrong version, or its folder cannot be used."""

    code = "S201"


class SchemaOutOfDate(StoreError):
    """Migrations have not been applied."""

    code = "S202"


class VendorError(MailfleetError):
    """An outside system answered with an error, or did not answer."""

    code = "V300"

    def __init__(
        self,
        what: str,
        *,
        vendor: str,
        operation: str,
        status: int | None = None,
        request_id: str = "",
        retry_after: float | None = None,
        body: str = "",
        hint: str = "",
        **context: object,
    ) -> None:
        super().__init__(what, hint=hint, **context)
        self.vendor = vendor
        self.operation = operation
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.body = body


class Unauthorized(VendorError):
    """The key is not accepted."""

    code = "V301"
    exit_code = 4


class Forbidden(VendorError):
    """The key is accepted but may not do this."""

    code = "V302"
    exit_code = 4


class NotFound(VendorError):
    """The vendor does not know the object."""

    code = "V303"


class Conflict(VendorError):
    """The object exists already, or is in a state that forbids this."""

    code = "V304"


class Invalid(VendorError):
    """The vendor refuses what was sent."""

    code = "V305"


class RateLimited(VendorError):
    """Too many calls; `retry_after` says how many seconds to wait when the vendor said so."""

    code = "V306"


class Unavailable(VendorError):
    """The vendor failed (5xx) or could not be reached before anything was sent."""

    code = "V307"


class TimedOut(Unavailable):
    """No answer to a read in time."""

    code = "V308"


class CircuitOpen(Unavailable):
    """Not tried: this vendor has been failing and is given a rest."""

    code = "V309"


class Ambiguous(VendorError):
    """A write left and its outcome is unknown. It is in the journal and is settled by reading, never by repeating."""

    code = "V310"


class Drift(VendorError):
    """The answer no longer fits the shape we know; `context['field']` names where."""

    code = "V311"


class NotAllowed(MailfleetError):
    """A rule or a safeguard refuses; every reason is listed."""

    code = "R400"
    exit_code = 5

    def __init__(self, what: str, *, reasons: tuple[str, ...] = (), hint: str = "", **context: object) -> None:
        super().__init__(what, hint=hint, **context)
        self.reasons = reasons


class NeedsApproval(NotAllowed):
    """A person has to approve this first."""

    code = "R401"


class StalePlan(NotAllowed):
    """What would be done now is not what was reviewed."""

    code = "R402"


class Suppressed(NotAllowed):
    """The address may not be written to."""

    code = "R403"


class OverLimit(NotAllowed):
    """More was planned than a mailbox may send."""

    code = "R404"


class Unknown(MailfleetError):
    """The object named does not exist."""

    code = "N500"


class Busy(MailfleetError):
    """Another run is working on the same object."""

    code = "N501"
    exit_code = 5


class ProcessFailed(MailfleetError):
    """A program we started ended, or did not become ready; the end of its log is told."""

    code = "N503"


class Interrupted(MailfleetError):
    """Stopped by a person or a signal."""

    code = "N502"
    exit_code = 130


class ExportError(MailfleetError):
    """An export or an archive is not complete, or cannot be used."""

    code = "E600"


class ShelfError(ExportError):
    """The place where archives are kept refused or failed."""

    code = "E601"


class AlreadyThere(ShelfError):
    """A file of that name exists; archives are never overwritten."""

    code = "E602"


class LostKey(ExportError):
    """None of the keys at hand opens the archive."""

    code = "E603"


class Tampered(ExportError):
    """The archive is not what was written."""

    code = "E604"
