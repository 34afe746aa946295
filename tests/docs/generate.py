"""The pages of docs/reference that are made from the code. `make docs` writes them; a test holds them up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docstring_parser

from mailfleet import cli, errors
from mailfleet.settings import Settings, is_secret

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
NOTE = "<!-- Made from the code by `make docs`; do not edit. -->\n"


def pages() -> dict[str, str]:
    return {
        "settings.md": settings(),
        "command-line.md": command_line(),
        "errors.md": failures(),
    }


def settings() -> str:
    lines = [
        "# Settings",
        NOTE,
        "Order: environment, then `.env` in the working directory, then the profile file",
        "(`MAILFLEET_HOME/profiles/MAILFLEET_PROFILE.toml`), then the default.",
        "`mailfleet config explain NAME` shows every place looked in.",
        "",
        "| name | default | what it is |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        if name == "smartlead_api_keys":
            continue
        default = field.get_default(call_default_factory=True)
        shown = f"`{default}`" if default not in (None, "", {}) else ""
        secret = " *Secret.*" if is_secret(name) else ""
        lines.append(f"| `{name.upper()}` | {shown} | {field.description}{secret} |")
    return "\n".join([*lines, ""])


def command_line() -> str:
    lines = ["# Command line", NOTE, "```text", cli.overview().rstrip(), "```", ""]
    app = cli.parser()
    for name, _, told in cli.COMMANDS:
        lines += [f"## mailfleet {name}", ""]
        found = app[name]
        subs = _commands(found)
        lines += [told, ""] if subs else []
        for sub, command in subs:
            lines += [f"### mailfleet {name} {sub}", "", *_body(command), ""]
        if not subs:
            lines += [*_body(found), ""]
    return "\n".join(lines).rstrip() + "\n"


def _commands(app: object, before: str = "") -> list[tuple[str, object]]:
    """Every command below, those of a group within the group under both words."""
    from cyclopts import App

    found: list[tuple[str, object]] = []
    if not isinstance(app, App):
        return found
    for name in sorted(each for each in app if not each.startswith("-")):
        command = app[name]
        found += _commands(command, f"{before}{name} ") or [(before + name, command)]
    return found


def _body(command: object) -> list[str]:
    from cyclopts import App

    assert isinstance(command, App)
    told = docstring_parser.parse((command.default_command.__doc__ if command.default_command else "") or "")
    meanings = {each.arg_name: each.description or "" for each in told.params}
    rows = [
        f"| `{_names(each)}` | {' '.join((each.parameter.help or meanings.get(each.field_info.name, '')).split())} |"
        for each in command.assemble_argument_collection()
        if each.show
    ]
    summary = " ".join(part.replace("\n", " ") for part in (told.short_description, told.long_description) if part)
    return [summary, "", *(["| option | meaning |", "|---|---|", *rows] if rows else [])]


def _names(argument: Any) -> str:
    positional = argument.field_info.kind is not argument.field_info.kind.KEYWORD_ONLY
    return argument.field_info.name.upper() if positional else argument.names[0]


def failures() -> str:
    lines = [
        "# Errors and exit codes",
        NOTE,
        "Every failure says what happened, why and what to do, and carries a code.",
        "",
        *(f"- {line.strip()}" for line in cli.EXIT_CODES),
        "",
        "| code | name | exit code | when |",
        "|---|---|---|---|",
    ]
    kinds = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.MailfleetError)
    ]
    for kind in sorted(kinds, key=lambda each: each.code):
        told = (kind.__doc__ or "").strip().splitlines()[0]
        lines.append(f"| `{kind.code}` | {kind.__name__} | {kind.exit_code} | {told} |")
    return "\n".join([*lines, ""])


def write() -> None:
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)


if __name__ == "__main__":
    write()
