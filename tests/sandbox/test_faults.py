"""Faults on the wire, as a client meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.sandbox import scene
from tests.sandbox_fixture import Sandbox


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    yield shared_sandbox
    shared_sandbox.control("DELETE", "/faults")


def create(sandbox: Sandbox, timeout: float = 1.0) -> httpx2.Response:
    url = sandbox.info["smartlead"]["base_url"] + "/campaigns/create"
    params = {"api_key": sandbox.info["smartlead"]["api_key"]}
    with httpx2.Client(timeout=timeout, trust_env=False) as client:
        return client.post(url, params=params, json={"name": "Pilot"})


def count(sandbox: Sandbox) -> int:
    return len(sandbox.smartlead("GET", "/campaigns").json())


@pytest.mark.parametrize(("kind", "made"), [("timeout_before", 0), ("timeout_after", 1)])
def test_a_request_may_never_be_answered_before_or_after_its_effect(sandbox: Sandbox, kind: str, made: int) -> None:
    before = count(sandbox)
    sandbox.fault(kind, vendor="smartlead", path="/campaigns/create")
    with pytest.raises(httpx2.ReadTimeout):
        create(sandbox)
    assert count(sandbox) - before == made
    assert create(sandbox).status_code == 200


@pytest.mark.parametrize(("kind", "made"), [("reset", 0), ("reset_after", 1)])
def test_a_connection_may_be_cut_before_or_after_the_effect(sandbox: Sandbox, kind: str, made: int) -> None:
    before = count(sandbox)
    sandbox.fault(kind, vendor="smartlead", path="/campaigns/create")
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        create(sandbox, timeout=20)
    assert count(sandbox) - before == made


@pytest.mark.parametrize(
    ("kind", "status", "part"),
    [
        ("429", 429, "RATE_LIMIT_EXCEEDED"),
        ("429_bare", 429, "RATE_LIMIT_EXCEEDED"),
        ("401", 401, "Invalid API Key"),
        ("403_html", 403, "1010"),
        ("502", 502, "<html>"),
        ("500", 500, "Internal Server Error"),
        ("200_false", 200, '"ok":false'),
    ],
)
def test_the_vendor_may_answer_an_error_instead(sandbox: Sandbox, kind: str, status: int, part: str) -> None:
    before = count(sandbox)
    sandbox.fault(kind, vendor="smartlead", path="/campaigns", times=2)
    for _ in range(2):
        response = create(sandbox, timeout=20)
        assert response.status_code == status
        assert part in response.text.replace(" ", "") or part in response.text
    assert ("retry-after" in response.headers) is (kind == "429")
    assert create(sandbox, timeout=20).status_code == 200
    assert count(sandbox) == before + 1


def test_a_batch_may_be_taken_in_part(sandbox: Sandbox) -> None:
    campaign = create(sandbox, 20).json()["id"]
    sandbox.fault("partial_batch", vendor="smartlead", path="/leads")
    answer = scene.add(sandbox, campaign, [f"p{n}@target-mailfleet.com" for n in range(10)])
    assert (answer["upload_count"], answer["total_leads"]) == (5, 5)


def test_reads_may_be_stale(sandbox: Sandbox) -> None:
    before = count(sandbox)
    sandbox.fault("stale_reads", vendor="smartlead", path="/campaigns", times=3)
    assert count(sandbox) == before
    create(sandbox, 20)
    assert [count(sandbox) - before for _ in range(3)] == [0, 0, 1]


def test_faults_end_when_they_are_cleared(sandbox: Sandbox) -> None:
    sandbox.fault("500", times=None)
    assert create(sandbox, 20).status_code == 500
    sandbox.control("DELETE", "/faults")
    assert create(sandbox, 20).status_code == 200


def test_an_unknown_fault_is_explained(sandbox: Sandbox) -> None:
    response = sandbox.http.post(sandbox.info["control"]["base_url"] + "/faults", json={"kind": "meteor"})
    assert response.status_code == 400
    assert "timeout_before" in response.json()["error"]


def test_the_limit_is_held_in_real_time_and_says_when_to_come_back() -> None:
    limited = Sandbox("--rate-limit", "5")
    try:
        answers = [limited.smartlead("GET", "/campaigns/") for _ in range(6)]
        assert [response.status_code for response in answers] == [200] * 5 + [429]
        assert [response.headers["x-ratelimit-remaining"] for response in answers] == ["4", "3", "2", "1", "0", "0"]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert answers[-1].json()["error"]["retry_after"] == int(answers[-1].headers["retry-after"])
    finally:
        limited.close()


def test_requests_are_logged_without_keys(sandbox: Sandbox) -> None:
    create(sandbox, 20)
    create(sandbox, 20)
    entries = sandbox.log("http")[-2:]
    assert [(entry["method"], entry["path"], entry["status"]) for entry in entries] == [
        ("POST", "/smartlead/api/v1/campaigns/create", 200)
    ] * 2
    assert entries[0]["key"] == entries[1]["key"]
    assert sandbox.info["smartlead"]["api_key"] not in str(entries)


def test_it_ends_cleanly_on_a_signal() -> None:
    assert Sandbox().close() == 0


def test_a_port_in_use_is_explained(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    port = sandbox.info["control"]["base_url"].rsplit(":", 1)[1].split("/")[0]
    with pytest.raises(RuntimeError, match="ended at once with 2"):
        Sandbox("--port", port)
    assert "cannot be used" in capfd.readouterr().err


def test_the_sources_import_nothing_of_the_product() -> None:
    here = Path(__file__).parent
    for source in here.glob("*.py"):
        for line in source.read_text().splitlines():
            assert not line.startswith(("from mailfleet", "import mailfleet")), source
