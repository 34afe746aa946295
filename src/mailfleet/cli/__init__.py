"""The command line: `mailfleet NOUN VERB`. One module per noun, imported only when it is used.

Exit codes: 0 done · 1 failed · 2 usage or configuration · 3 there is something to do · 4 authentication ·
5 waiting or refused · 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import mailfleet
from mailfleet.errors import MailfleetError

if TYPE_CHECKING:
    from cyclopts import App
    from rich.console import Console

USAGE, FAILED, ATTENTION, INTERRUPTED = 2, 1, 3, 130

COMMANDS = (
    ("demo", "mailfleet.cli.demo:demo", "Watch the whole of it work against sandbox vendors on this machine."),
    (
        "up",
        "mailfleet.cli.up:up",
        "Run everything on this machine: database, Prefect, flows, receiver, worker, console.",
    ),
    ("deploy", "mailfleet.cli.up:deploy", "Register the flows in a Prefect work pool, for workers elsewhere."),
    ("doctor", "mailfleet.cli.doctor:doctor", "Check settings, database, vendors, DNS, clock and workers."),
    ("config", "mailfleet.cli.config:app", "Show settings, where each comes from, and the policy."),
    ("db", "mailfleet.cli.db:app", "Apply and inspect the schema."),
    ("sandbox", "mailfleet.cli.sandbox:app", "Serve the sandbox vendors alone, and move their clock."),
    ("client", "mailfleet.cli.client:app", "Add clients and set where their policy differs."),
    ("domain", "mailfleet.cli.domain:app", "Set up sending domains and see whether they are safe to use."),
    ("mailbox", "mailfleet.cli.mailbox:app", "See, warm, graduate and retire mailboxes."),
    ("safeguards", "mailfleet.cli.safeguards:app", "See what is stopped or slowed and why; investigate failing mail."),
    ("campaign", "mailfleet.cli.campaign:app", "Plan, create, start, change and read campaigns."),
    ("lead", "mailfleet.cli.lead:app", "Import leads, push them, and see what became of each."),
    ("suppression", "mailfleet.cli.suppression:app", "The list of those never written to: add, load, save, show."),
    ("forge", "mailfleet.cli.forge:app", "Take over from the platform you leave: its rates, campaigns, block list."),
    ("vendor", "mailfleet.cli.vendor:app", "See how the vendors answer, and whether they answer as written."),
    ("reply", "mailfleet.cli.reply:app", "Read replies, and say what those mean that no rule understood."),
    ("task", "mailfleet.cli.task:app", "See what people owe, and say what is done."),
    ("event", "mailfleet.cli.event:app", "Read what happened, and apply what was received."),
    ("classify", "mailfleet.cli.classify:app", "Judge a file of bounces or replies, to measure the classifiers."),
    ("migration", "mailfleet.cli.migration:app", "Move from one sending platform to another, and come back."),
    ("rehearse", "mailfleet.cli.rehearse:rehearse", "Measure the migration's rules on synthetic worlds."),
    ("approve", "mailfleet.cli.approve:approve", "Give an approval, or list what waits for one."),
    ("withdraw", "mailfleet.cli.approve:withdraw", "Take an approval back before it takes effect."),
    ("export", "mailfleet.cli.export:app", "Export a platform, encrypted; check, restore and prune archives."),
    ("worker", "mailfleet.cli.processes:worker", "Carry out queued commands and send notices until stopped."),
    ("receiver", "mailfleet.cli.processes:receiver", "Take in the vendors' webhooks until stopped."),
    ("console", "mailfleet.cli.processes:console", "Serve the status page until stopped."),
)

SUMMARY = "The control plane for an agency's outbound e-mail."
EXIT_CODES = (
    "  0 done · 1 failed · 2 usage or configuration · 3 there is something to do",
    "  4 authentication · 5 waiting or refused · 130 interrupted",
)
_NAMES = tuple(name for name, _, _ in COMMANDS)


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def parser() -> App:
    """The Cyclopts application. Its commands are names of modules until one of them is called."""
    from cyclopts import App

    app = App(
        name="mailfleet",
        help=SUMMARY,
        help_format="plaintext",  # Markdown would cost a tenth of a second of imports
        version=mailfleet.__version__,
        suppress_keyboard_interrupt=False,
    )
    for name, target, told in COMMANDS:
        app.command(target, name=name, help=told)
    return app


def overview() -> str:
    """What `mailfleet --help` prints: the commands are a table here, so that help needs no parser and is instant."""
    lines = [f"Usage: mailfleet COMMAND [--json] [--debug] [--timeout SECONDS]\n\n{SUMMARY}\n\nCommands:"]
    lines += [f"  {name:<11} {told}" for name, _, told in COMMANDS]
    return "\n".join([*lines, "", "`mailfleet COMMAND --help` tells more. Exit codes:", *EXIT_CODES, ""])


def run(argv: Sequence[str]) -> int:
    """Runs one command; the exit code. What went wrong is told on standard error."""
    tokens, timeout = _without_timeout([token for token in argv if token != "--debug"])  # noqa: S105 - not a secret
    debug = "--debug" in argv or bool(os.environ.get("MAILFLEET_DEBUG"))
    if timeout == "":
        return _refused("--timeout needs a number of seconds.")
    if timeout:
        os.environ["MAILFLEET_CALL_TIMEOUT"] = timeout
    if tokens in ([], ["--help"], ["-h"], ["--version"]):
        sys.stdout.write(f"{mailfleet.__version__}\n" if tokens == ["--version"] else overview())
        return 0
    if not tokens[0].startswith("-") and tokens[0] not in _NAMES:
        return _unknown(tokens[0])
    from cyclopts.exceptions import CycloptsError

    try:
        result = parser()(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _refused(str(error))
    except (KeyboardInterrupt, BrokenPipeError):
        return INTERRUPTED
    except MailfleetError as error:
        return _failed(error, debug=debug)
    except Exception as error:
        known = _of_the_database(error)
        return _failed(known, debug=debug) if known else _bug(error, debug=debug)
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _without_timeout(tokens: list[str]) -> tuple[list[str], str | None]:
    """`--timeout SECONDS` stands for the setting, before or after any command's own words."""
    for place, token in enumerate(tokens):
        if token == "--timeout":  # noqa: S105 - a flag, not a secret
            return [*tokens[:place], *tokens[place + 2 :]], "".join(tokens[place + 1 : place + 2])
        if token.startswith("--timeout="):
            return [*tokens[:place], *tokens[place + 1 :]], token.partition("=")[2]
    return tokens, None


def _unknown(word: str) -> int:
    """Told without importing every command for its name, as Cyclopts would."""
    import difflib

    near = difflib.get_close_matches(word, _NAMES, n=1)
    meant = f" Did you mean `mailfleet {near[0]}`?" if near else ""
    return _refused(f"There is no command {word!r}.{meant} Commands: {', '.join(_NAMES)}.")


def _refused(text: str) -> int:
    stderr = _stderr()
    stderr.print(f"[bold red]usage[/] {_escaped(text)}", highlight=False)
    stderr.print("What to do: `mailfleet --help`, or `--help` after the command.", highlight=False)
    return USAGE


def _failed(error: MailfleetError, *, debug: bool) -> int:
    from mailfleet.log import redact

    stderr = _stderr()
    stderr.print(f"[bold red]{error.code}[/] {_escaped(redact(error.what))}", highlight=False)
    for reason in getattr(error, "reasons", ()):
        stderr.print(f"  · {_escaped(redact(str(reason)))}", highlight=False)
    if error.hint:
        stderr.print(f"What to do: {_escaped(redact(error.hint))}", highlight=False)
    if debug:
        _trace(error)
    return error.exit_code


def _of_the_database(error: Exception) -> MailfleetError | None:
    if "psycopg" not in sys.modules:
        return None
    from mailfleet.store.database import told

    return told(error)


def _bug(error: Exception, *, debug: bool) -> int:
    from mailfleet.log import redact

    stderr = _stderr()
    stderr.print(f"[bold red]E999[/] {type(error).__name__}: {_escaped(redact(str(error)))}", highlight=False)
    stderr.print("What to do: this is a fault of mailfleet. Run it again with --debug and report it.", highlight=False)
    if debug:
        _trace(error)
    return FAILED


def _trace(error: BaseException) -> None:
    import traceback

    from mailfleet.log import redact

    sys.stderr.write(redact("".join(traceback.format_exception(error))))


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
