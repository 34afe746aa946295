"""Bad texts, each told with its field; and the harmless ones beside them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rules.test_campaigns import EXAMPLE, changed

from mailfleet.errors import BadFile
from mailfleet.rules.campaign_file import dump, parse
from mailfleet.rules.rendering import complete, derived, for_platform, lead_fields, render

IDENTITY = {"legal_name": "Acme & Sons", "postal_address": "1 Street", "reply_contact": "a@b-mfdemo.com"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<p>Hi <b>there</p>", "<b> is not closed before </p>"),
        ("<div>Hi", "<div> is not closed"),
        ("<p>Hi</p></div>", "</div> closes nothing"),
        ("<p>Hi <script>alert(1)</script></p>", "holds <script>"),
        ('<p onclick="x()">Hi</p>', "a script in onclick="),
        ('<a href="java\tscript:x()">Hi</a>', "a script in href="),
        ("x" * 1_000_000, "at most 100000"),
        ("{{" * 40_000, "not closed"),
        ("Hi {first_name}", "has one brace"),
        ("Hi [[name]]", "still holds [[name]]"),
        ("Hi }}", "not opened"),
    ],
)
def test_a_bad_body_is_told_with_its_field(body: str, problem: str) -> None:
    with pytest.raises(BadFile) as caught:
        parse(changed("sequence.0.body", body))
    told: Any = caught.value.context["problems"]
    assert len(told) == 1 and told[0].startswith("sequence[1].body: ") and problem in told[0]


@pytest.mark.parametrize(
    "body", ["<p>Hi<br>there<p>two", "<ul><li>a<li>b</ul>", "1 < 2 and a & b", "Hi {there}", "<p>Hi <img src=x></p>"]
)
def test_a_harmless_body_passes(body: str) -> None:
    assert parse(changed("sequence.0.body", body)).sequence[0].body == body


def test_variants_are_labelled_once_and_share_everything() -> None:
    forms = [{"label": "A", "subject": "s", "body": "b", "share": 60}, {"label": "B", "subject": "t", "body": "c"}]
    with pytest.raises(BadFile, match="shares of 60"):
        parse(changed("sequence.0.variants", forms))
    forms[1]["share"] = 40
    assert parse(changed("sequence.0.variants", forms)).sequence[0].variants[1].share == 40
    many = [{"label": f"V{n}", "subject": "s", "body": "b"} for n in range(50)]
    with pytest.raises(BadFile, match="are 50, at most 26"):
        parse(changed("sequence.0.variants", many))
    assert len(parse(changed("sequence.0.variants", many[:26])).sequence[0].variants) == 26


def test_a_configuration_written_again_is_the_same() -> None:
    assert parse(dump(parse(EXAMPLE))) == parse(EXAMPLE)


def test_a_fallback_becomes_a_field_of_its_own() -> None:
    made = parse(changed("sequence.0.body", "Hi {{first_name|there}} of {{domain}}"))
    assert derived(made) == {"first_name_or_there": ("first_name", "there"), "domain": ("domain", "")}
    assert for_platform("Hi {{ first_name | there }}") == "Hi {{first_name_or_there}}"
    assert lead_fields(made, {"domain": "x.example"}) == {"first_name_or_there": "there", "domain": "x.example"}


def test_identity_and_way_out_stand_in_every_body_once() -> None:
    plain = complete("Hi", identity=IDENTITY, unsubscribe="Say stop.")
    assert plain.count("Acme &amp; Sons") == plain.count("Say stop.") == 1
    placed = complete("<p>Hi</p><p>{{identity}}</p>{{unsubscribe}}", identity=IDENTITY, unsubscribe="Say stop.")
    assert placed.count("Acme &amp; Sons") == placed.count("Say stop.") == 1 and "--" not in placed
    written = complete("Hi\n\nAcme & Sons\n1 Street", identity=IDENTITY, unsubscribe="Say stop.")
    assert written.count("Acme &amp; Sons") == 1


def test_a_leads_value_brings_no_markup_and_no_field() -> None:
    assert render("{{company}}", {"company": "<b>{{email}}\r\nBcc: x"}) == "b{email} Bcc: x"
