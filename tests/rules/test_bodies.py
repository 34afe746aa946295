"""Plain text keeps its lines when a platform sends it as HTML."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from mailfleet.rules.bodies import to_html


class Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def shown(html: str) -> str:
    reader = Text()
    reader.feed(html)
    reader.close()
    return "".join("".join(reader.parts).split())


def test_paragraphs_and_lines_are_kept() -> None:
    assert to_html("Hi {{first_name}},\n\nTwo\nlines.\n") == "<p>Hi {{first_name}},</p><p>Two<br>lines.</p>"


def test_an_address_becomes_a_link_without_its_full_stop() -> None:
    made = to_html("See https://a.example/x?y=1&z=2.")
    assert made == '<p>See <a href="https://a.example/x?y=1&amp;z=2">https://a.example/x?y=1&amp;z=2</a>.</p>'


def test_html_stays_as_it_stands() -> None:
    assert to_html("<div>Hi<br>there</div>") == "<div>Hi<br>there</div>"


def test_signs_that_look_like_markup_are_shown_not_obeyed() -> None:
    assert to_html("2 < 3 & <script>alert(1)</script>") == "<p>2 &lt; 3 &amp; &lt;script&gt;alert(1)&lt;/script&gt;</p>"


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200))
def test_whatever_is_written_is_what_is_shown(text: str) -> None:
    assert shown(to_html(text)) == "".join(text.split()) or "<" in text
