"""The one way out: retries, budget, journal, circuit, judgement."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import msgspec
import pytest
from tests.vendors.wires import Bench, Handler, caught, ok, script, text

from mailfleet.errors import (
    Ambiguous,
    CircuitOpen,
    Drift,
    Invalid,
    NotFound,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
    VendorError,
)
from mailfleet.vendors.transport.failures import by_status
from mailfleet.vendors.transport.operation import Access, Operation, Patience, Vendor
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.transport import Transport

pytestmark = pytest.mark.anyio
READ = Operation(name="read_it", method="GET", path="/things/{id}")
WRITE = Operation(name="write_it", method="POST", path="/things", reconcile="the things, matched on name")
SELDOM = Operation(name="seldom", method="POST", path="/seldom", reconcile="nothing", own_limit=True)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def at(seconds: int) -> int:
    """That long after noon, in Unix time."""
    return int(NOON.timestamp()) + seconds


class Thing(msgspec.Struct):
    count: int


def transport(handler: Handler, patience: Patience | None = None) -> tuple[Transport, Bench]:
    bench = Bench(handler, patience or Patience())
    vendor = Vendor(
        name="acme",
        base_url="https://acme.example/v1",
        access=Access(query={"api_key": Secret("sk-12345")}),
        windows=((10, 2.0), (60, 60.0)),
        judge=by_status,
    )
    return Transport(vendor, bench.means), bench


async def test_a_read_is_tried_again_after_a_failure_and_gives_the_answer() -> None:
    out, bench = transport(script(text("bad gateway", 502), httpx2.ReadError("reset"), ok({"count": "3"})))
    assert (await out.ask(READ, Thing, at={"id": 1})).count == 3
    assert [call.status for call in bench.calls.made] == ["502", "ReadError", "200"]
    assert [call.attempt for call in bench.calls.made] == [1, 2, 3]
    assert bench.slept == sorted(bench.slept)


async def test_a_read_that_never_succeeds_ends_as_the_vendors_failure() -> None:
    out, bench = transport(script(text("<html><title>Bad gateway</title></html>", 502)))
    error = await caught(out.call(READ, at={"id": 1}))
    assert isinstance(error, Unavailable)
    assert (error.vendor, error.operation, error.status) == ("acme", "read_it", 502)
    assert "Bad gateway" in str(error)
    assert len(bench.sent) == 4


async def test_timeouts_are_tried_three_times_with_more_patience_each_time() -> None:
    out, bench = transport(script(httpx2.ReadTimeout("slow")), Patience(timeout=20, timeout_cap=50))
    assert isinstance(await caught(out.call(READ, at={"id": 1})), TimedOut)
    waited = [request.extensions["timeout"]["read"] for request in bench.sent]
    assert waited == [20, 40, 50]


async def test_after_timeouts_later_calls_wait_longer_too_until_answers_come_in_time() -> None:
    out, bench = transport(script(*[httpx2.ReadTimeout("slow")] * 2, ok()), Patience(timeout=20, timeout_cap=50))
    for _ in range(12):
        await out.call(READ, at={"id": 1})
    waited = [request.extensions["timeout"]["read"] for request in bench.sent]
    assert waited[:4] == [20, 40, 50, 40.5] and waited[-1] == 20
    assert [detail["seconds"] for _, what, _, detail in bench.calls.notes if what == "deadline"] == [30, 45, 20]


async def test_no_attempt_outlasts_the_deadline_of_the_call() -> None:
    out, bench = transport(script(httpx2.ReadTimeout("slow")), Patience(timeout=20, timeout_cap=60, deadline=7))
    assert isinstance(await caught(out.call(READ, at={"id": 1})), TimedOut)
    waited = [request.extensions["timeout"]["read"] for request in bench.sent]
    assert waited and max(waited) <= 7


async def test_what_is_waited_for_is_told_while_it_lasts() -> None:
    told: list[str] = []
    asked = asyncio.Event()
    out, bench = transport(script(ok()), Patience(silent=0.0))
    out = Transport(out.vendor, replace(bench.means, http=Silent(asked), waiting=lambda said: _told(told, said, asked)))
    await out.call(READ, at={"id": 1})
    assert told and all(said.startswith("acme read_it: waits for its answer, at most 20 s") for said in told)


class Silent(httpx2.AsyncBaseTransport):
    """Answers when it has been told that somebody waits."""

    def __init__(self, asked: asyncio.Event) -> None:
        self.asked = asked

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await self.asked.wait()
        return ok({})


def _told(told: list[str], said: str, asked: asyncio.Event) -> None:
    told.append(said)
    asked.set()


def test_a_write_that_does_not_say_how_it_is_reconciled_cannot_be_made() -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        with pytest.raises(TypeError, match="reconciled"):
            Operation(name="x", method=method, path="/x")
    assert not Operation(name="x", method="POST", path="/x", reads=True).write


async def test_a_refused_key_is_told_while_it_is_refused() -> None:
    told: list[tuple[str, str, str]] = []

    async def refused(*said: str) -> None:
        told.append(said)  # type: ignore[arg-type]

    for status in (401, 403, 404, 500):
        out, bench = transport(script(ok({}, status)))
        await caught(Transport(out.vendor, replace(bench.means, refused=refused)).call(READ, at={"id": 1}))
    assert told == [("acme", "read_it", "401"), ("acme", "read_it", "403")]


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (ok({"ok": False}), "200"),
        (text("no", 502), "502"),
        (ok({}, 418), "418"),
        (httpx2.ReadTimeout("x"), "ReadTimeout"),
    ],
)
async def test_calls_are_counted_by_what_came_back(reply: httpx2.Response, status: str) -> None:
    out, bench = transport(script(reply), Patience(attempts=1, timeouts=1))
    await gathered(out)
    assert [call.status for call in bench.calls.made] == [status]


async def gathered(out: Transport) -> None:
    with contextlib.suppress(VendorError):
        await out.call(READ, at={"id": 1})


async def test_rows_that_fit_are_given_beside_the_one_that_does_not() -> None:
    rows = [{"count": 1}, {"count": "x", "password": "hunter2"}, {"count": "3"}, {}]
    out, bench = transport(script(ok({"data": rows})))
    found = await out.rows(READ, Thing, "data", at={"id": 1})
    assert ([thing.count for thing in found.good], found.read) == ([1, 3], 4)
    assert found.drift is not None and found.drift.context["field"] == "$.data[].count"
    assert "1 more" in str(found.drift) and "hunter2" not in found.drift.body
    ((vendor, what, subject, detail),) = bench.calls.notes
    assert (vendor, what, subject) == ("acme", "drift", "read_it $.data[].count")
    assert "hunter2" not in repr(detail) and '"x"' in detail["body"]


@pytest.mark.parametrize(("body", "field"), [({"rows": []}, "$.data"), ({"data": None}, "$.data"), ("x", "$")])
async def test_no_list_at_all_is_drift(body: object, field: str) -> None:
    out, _ = transport(script(ok(body)))
    error = await caught(out.rows(READ, Thing, "data", at={"id": 1}))
    assert isinstance(error, Drift) and error.context["field"] == field


async def test_a_write_is_journaled_before_it_leaves() -> None:
    states: list[list[str]] = []

    def answer(_request: httpx2.Request) -> httpx2.Response:
        states.append(bench.states())
        return ok({"ok": True, "id": 5})

    out, bench = transport(answer)
    await out.call(WRITE, body={"name": "a", "password": "hunter2"}, match={"name": "a"})
    assert states == [["intended"]]
    (entry,) = bench.journal.entries.values()
    assert (entry.state, entry.operation, entry.match) == ("done", "write_it", {"name": "a"})
    assert entry.outcome["answer"] == {"ok": True, "id": 5}
    assert "hunter2" not in repr(entry)


@pytest.mark.parametrize(
    "reply",
    [
        httpx2.ReadTimeout("slow"),
        httpx2.ReadError("reset"),
        httpx2.WriteError("broken"),
        text("oops", 500),
        ok({}, 503),
    ],
)
async def test_a_write_with_an_unknown_outcome_is_ambiguous_and_never_repeated(reply: httpx2.Response) -> None:
    out, bench = transport(script(reply))
    error = await caught(out.call(WRITE, body={"name": "a"}, match={"name": "a"}))
    assert isinstance(error, Ambiguous)
    assert len(bench.sent) == 1
    assert bench.states() == ["ambiguous"]


async def test_a_write_that_never_left_is_safe_to_try_again() -> None:
    out, bench = transport(script(httpx2.ConnectError("refused"), ok()))
    await out.call(WRITE, body={})
    assert bench.states() == ["done"]


async def test_a_write_that_cannot_leave_is_abandoned_not_ambiguous() -> None:
    out, bench = transport(script(httpx2.ConnectError("refused")))
    error = await caught(out.call(WRITE, body={}))
    assert isinstance(error, Unavailable)
    assert not isinstance(error, Ambiguous)
    assert bench.states() == ["abandoned"]


async def test_a_refused_write_says_so_and_is_closed() -> None:
    out, bench = transport(script(ok({"message": '"name" is required'}, 400)))
    error = await caught(out.call(WRITE, body={}))
    assert isinstance(error, Invalid)
    assert '"name" is required' in str(error)
    assert bench.states() == ["refused"]


async def test_a_write_refused_as_too_many_had_no_effect_and_goes_again() -> None:
    out, bench = transport(script(ok({"message": "Too many requests"}, 429, retry_after="7"), ok()))
    await out.call(WRITE, body={})
    assert bench.slept == [7.0]
    assert bench.states() == ["done"]
    assert len(bench.journal.entries) == 1


@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({"retry_after": "30"}, {}, 30),
        (
            {
                "retry_after": format_datetime(datetime(2026, 3, 2, 0, 1, tzinfo=UTC), usegmt=True),
                "date": format_datetime(datetime(2026, 3, 2, tzinfo=UTC), usegmt=True),
            },
            {},
            60,
        ),
        ({}, {"error": {"code": "RATE_LIMIT_EXCEEDED", "retry_after": 12}}, 12),
        ({"retry_after": "3"}, {"error": {"retry_after": 12}}, 3),
    ],
)
async def test_the_vendors_own_wait_is_obeyed(headers: dict[str, str], body: object, wait: float) -> None:
    out, bench = transport(script(ok(body, 429, **headers), ok({"count": 1})))
    await out.call(READ, at={"id": 1})
    assert bench.slept == [wait]


async def test_a_wait_longer_than_the_deadline_is_passed_on_and_holds_the_whole_key() -> None:
    out, bench = transport(script(ok({}, 429, retry_after="3600"), ok()))
    error = await caught(out.call(READ, at={"id": 1}))
    assert isinstance(error, RateLimited)
    assert error.retry_after == 3600
    assert isinstance(await caught(out.call(READ, at={"id": 1})), RateLimited)
    assert len(bench.sent) == 1


async def test_a_limit_of_one_operation_alone_holds_nothing_else() -> None:
    out, bench = transport(script(ok({}, 429, retry_after="3600"), ok()))
    assert isinstance(await caught(out.call(SELDOM, body={})), RateLimited)
    await out.call(READ, at={"id": 1})
    assert bench.slept == []


async def test_no_window_ever_admits_more_than_its_limit() -> None:
    out, bench = transport(script(ok()))
    times: list[float] = []
    for _ in range(130):
        await out.call(READ, at={"id": 1})
        times.append(bench.now)
    for limit, seconds in ((10, 2.0), (60, 60.0)):
        assert max(sum(1 for at in times if start <= at < start + seconds) for start in times) <= limit


async def test_an_urgent_call_uses_the_share_kept_for_it() -> None:
    out, bench = transport(script(ok()))
    for _ in range(9):
        await out.call(READ, at={"id": 1})
    await out.call(READ, at={"id": 1}, urgent=True)
    assert bench.slept == []
    await out.call(READ, at={"id": 1})
    assert bench.slept


async def test_the_windows_follow_the_headers_figure_in_proportion() -> None:
    out, bench = transport(script(ok({}, x_ratelimit_limit="6000")))
    await out.call(READ, at={"id": 1})
    assert bench.budget.learned[out.key_id] == ((1000, 2.0), (6000, 60.0))


async def test_the_policy_header_names_its_own_window() -> None:
    out, bench = transport(script(ok({}, ratelimit_policy='"default";q=50;w=30')))
    await out.call(READ, at={"id": 1})
    assert bench.budget.learned[out.key_id] == ((50, 30.0),)


@pytest.mark.parametrize(
    ("headers", "slept"),
    [
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "7"}, [7]),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(at(9)), "date": format_datetime(NOON)}, [9]),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(at(9000)), "date": format_datetime(NOON)}, [60]),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(at(-3)), "date": format_datetime(NOON)}, []),
        ({"x_ratelimit_remaining": "1", "x_ratelimit_reset": "7"}, []),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "soon"}, []),
        ({"ratelimit": '"default";r=0;t=5'}, [5]),
        ({"ratelimit": '"default";r=3;t=5'}, []),
    ],
)
async def test_a_key_that_is_used_up_by_whoever_shares_it_waits_before_it_is_refused(
    headers: dict[str, str], slept: list[float]
) -> None:
    out, bench = transport(script(ok({}, 200, **headers), ok()))
    for _ in range(2):
        await out.call(READ, at={"id": 1})
    assert bench.slept == slept


async def test_a_failing_vendor_is_given_a_rest_and_one_probe_ends_it() -> None:
    replies = [text("x", 500)] * 8 + [ok({"count": 1})]
    out, bench = transport(script(*replies), Patience(attempts=1))
    for _ in range(5):
        assert isinstance(await caught(out.call(READ, at={"id": 1})), Unavailable)
    assert isinstance(await caught(out.call(READ, at={"id": 1})), CircuitOpen)
    assert len(bench.sent) == 5
    bench.now += 31
    assert not isinstance(await caught(out.call(READ, at={"id": 1})), CircuitOpen)
    assert isinstance(await caught(out.call(READ, at={"id": 1})), CircuitOpen)
    bench.now += 31
    bench.handler = script(ok({"count": 1}))
    await out.call(READ, at={"id": 1})
    await out.call(READ, at={"id": 1})


async def test_a_pause_is_tried_even_while_the_vendor_rests() -> None:
    out, bench = transport(script(text("x", 500)), Patience(attempts=1))
    for _ in range(5):
        await caught(out.call(READ, at={"id": 1}))
    bench.handler = script(ok())
    await out.call(WRITE, body={}, urgent=True)
    assert bench.states() == ["done"]


async def test_an_answer_of_another_shape_names_the_field() -> None:
    out, _ = transport(script(ok({"count": "many", "password": "hunter2"})))
    error = await caught(out.ask(READ, Thing, at={"id": 1}))
    assert isinstance(error, Drift)
    assert error.context["field"] == "$.count"
    assert "hunter2" not in error.body


async def test_a_write_answered_in_an_unknown_shape_is_settled_by_reading() -> None:
    out, bench = transport(script(ok({"identity": 5})))
    assert isinstance(await caught(out.ask(WRITE, Thing, body={})), Drift)
    assert bench.states() == ["ambiguous"]


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unauthorized), (404, NotFound), (422, Invalid), (418, VendorError), (500, Unavailable)]
)
async def test_each_status_is_one_kind_and_an_unknown_one_its_own(status: int, kind: type[VendorError]) -> None:
    out, _ = transport(script(ok({"message": "no"}, status)), Patience(attempts=1))
    error = await caught(out.call(READ, at={"id": 1}))
    assert type(error) is kind


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (text("<!DOCTYPE html><html></html>"), "html"),
        (text("\ufeffid,email\n1,a@b.c\n", kind="text/csv"), "csv"),
        (text("Email added to the queue"), "text"),
        (text(""), "empty"),
        (text('<?xml version="1.0"?><ApiResponse/>'), "xml"),
        (text('{"a":1}', kind="text/plain"), "json"),
        (text("{not json", kind="application/json"), "text"),
    ],
)
async def test_a_body_is_what_it_contains(reply: httpx2.Response, kind: str) -> None:
    out, _ = transport(script(reply))
    assert (await out.call(READ, at={"id": 1})).kind == kind


async def test_a_value_in_the_path_cannot_change_the_route() -> None:
    out, bench = transport(script(ok()))
    await out.call(READ, at={"id": "../campaigns?x=1"})
    assert bench.sent[0].url.raw_path.startswith(b"/v1/things/..%2Fcampaigns%3Fx%3D1")


async def test_calls_name_us_and_carry_the_key() -> None:
    out, bench = transport(script(ok()))
    await out.call(READ, at={"id": 1}, query={"a": None, "b": True})
    (request,) = bench.sent
    assert request.headers["user-agent"].startswith("mailfleet/")
    assert dict(request.url.params) == {"b": "true", "api_key": "sk-12345"}


async def test_a_wait_by_date_in_the_past_is_no_wait_at_all() -> None:
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    out, bench = transport(script(ok({}, 429, retry_after=past), ok({"count": 1})))
    await out.call(READ, at={"id": 1})
    assert bench.slept[0] < 0.01
