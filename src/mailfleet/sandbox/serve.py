"""Runs the sandbox alone: every face on one port of loopback, DNS and the mail host on ports of their own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from mailfleet.errors import ConfigError
from mailfleet.sandbox import slack, twilio
from mailfleet.sandbox.app import Protocol, build
from mailfleet.sandbox.cloudflare import state as cloudflare_state
from mailfleet.sandbox.control import advance
from mailfleet.sandbox.dns import server as dns_server
from mailfleet.sandbox.dns.server import DnsServers
from mailfleet.sandbox.forge import control as forge_control
from mailfleet.sandbox.mail import smtp as mail_server
from mailfleet.sandbox.mail.smtp import MailServers
from mailfleet.sandbox.namecheap import face as namecheap
from mailfleet.sandbox.smartlead.deliveries import PROFILES
from mailfleet.sandbox.smartlead.http import API, DELIVERY
from mailfleet.sandbox.smartlead.senders import SENDERS
from mailfleet.sandbox.smartlead.state import smartlead
from mailfleet.sandbox.world import START, World

HOST = "127.0.0.1"
# How often the clock moves by itself with --speed, in real seconds.
_BEAT = 0.5
_LAST_PORT = 65535


class Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: a signal ends the sandbox cleanly, with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of the sandbox; the first line of output is one JSON object that names every address."""
    try:
        run(parsed(argv))
    except ConfigError as error:
        sys.stderr.write(f"{error.code} {error}\n")
        return error.exit_code
    return 0


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """What is asked for. Raises ConfigError for a moment or a number that cannot be meant."""
    given = _parser().parse_args(argv)
    if not 0 <= given.port <= _LAST_PORT:
        raise ConfigError(f"There is no port {given.port}.", hint=f"It is 0 (any free one) to {_LAST_PORT}.")
    if given.rate_limit < 1 or given.speed < 0:
        raise ConfigError("The rate limit is at least 1, the speed at least 0.", hint="Leave them out for the usual.")
    try:
        given.start = _moment(given.start) if given.start else START
    except ValueError as error:
        raise ConfigError(f"{given.start!r} is no moment.", hint="Write it like 2026-03-02T09:00:00Z.") from error
    return given


def run(given: argparse.Namespace) -> None:
    """Serves until stopped by a signal or the lifeline. Raises ConfigError when the port cannot be used."""
    try:
        listener = _listen(given.port)
    except OSError as error:
        raise ConfigError(
            f"Port {given.port} of {HOST} cannot be used: {error.strerror}.", hint="Choose another with --port, or 0."
        ) from error
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(_serve(given, listener))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("mailfleet sandbox serve", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 = any free one")
    parser.add_argument("--seed", type=int, default=1, help="which world")
    parser.add_argument("--json", action="store_true", help="print the addresses as one line of JSON (always done)")
    parser.add_argument("--start", metavar="ISO", help="what the clock shows at first")
    parser.add_argument("--rate-limit", type=int, default=60, metavar="PER_MINUTE", help="of the Smartlead face")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="typical", help="how much goes wrong by itself")
    parser.add_argument("--speed", type=float, default=0.0, metavar="X", help="sandbox seconds per real second")
    parser.add_argument("--lifeline-fd", type=int, default=None, metavar="FD", help="end when this descriptor closes")
    return parser


def _moment(given: str) -> datetime:
    moment = datetime.fromisoformat(given)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _listen(port: int) -> socket.socket:
    # asyncio sends without delay only where the protocol is named; otherwise every answer waits for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


async def _serve(given: argparse.Namespace, listener: socket.socket) -> None:
    world = World(given.seed, given.start)
    names, mail = await dns_server.start(world, HOST), await mail_server.start(world, HOST)
    world.state["mailhost"] = (mail.host, mail.smtp_port, mail.imap_port)
    app = build(world, per_minute=given.rate_limit, profile=given.profile)
    config = uvicorn.Config(app, http=Protocol, lifespan="off", log_level="warning", access_log=False, ws="none")
    config.date_header = False
    config.timeout_graceful_shutdown = 1
    server = Server(config)
    stopping = asyncio.Event()
    _watch(stopping, given.lifeline_fd)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    beat = asyncio.create_task(_beat(world, given.speed)) if given.speed > 0 else None
    sys.stdout.write(json.dumps(info(world, f"http://{HOST}:{listener.getsockname()[1]}", names, mail)) + "\n")
    sys.stdout.flush()
    await asyncio.wait([serving, asyncio.create_task(stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    if beat is not None:
        beat.cancel()
    await serving
    names.close()
    mail.close()


def _watch(stopping: asyncio.Event, lifeline: int | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if lifeline is None:
        return

    def readable() -> None:
        # Nothing is ever written to it: it becomes readable when the other end has gone.
        if not os.read(lifeline, 1024):
            loop.remove_reader(lifeline)
            stopping.set()

    loop.add_reader(lifeline, readable)


async def _beat(world: World, speed: float) -> None:
    while True:
        await asyncio.sleep(_BEAT)
        await advance(world, world.now + timedelta(seconds=speed * _BEAT))


def info(world: World, root: str, names: DnsServers | None, mail: MailServers) -> dict[str, Any]:
    """Every address and key, by vendor; without name servers none is named."""
    vendor, cloudflare = smartlead(world), cloudflare_state.account(world)
    bot = slack.credentials(world)
    return {
        "pid": os.getpid(),
        "seed": world.seed,
        "now": world.now.isoformat(),
        "control": {"base_url": f"{root}/control"},
        "smartlead": {
            "base_url": root + API,
            "api_key": vendor.api_key,
            "delivery_base_url": root + DELIVERY,
            "senders_base_url": root + SENDERS,
            "webhook_secret": vendor.webhook_secret,
        },
        **forge_control.info(world, root),
        "cloudflare": {
            "base_url": f"{root}/cloudflare/client/v4",
            "api_token": cloudflare.api_token,
            "account_id": cloudflare.account_id,
        },
        "namecheap": {"base_url": root + namecheap.PATH, **namecheap.credentials(world)},
        "slack": {
            "base_url": f"{root}/slack/api",
            "webhook_url": root + bot["webhook_path"],
            "bot_token": bot["bot_token"],
        },
        "twilio": {"base_url": root + twilio.PREFIX, **twilio.credentials(world)},
        "mailhost": {
            "hostname": mail.hostname,
            "smtp_host": mail.host,
            "smtp_port": mail.smtp_port,
            "imap_host": mail.host,
            "imap_port": mail.imap_port,
            "spf": mail.spf,
        },
        "dns": _dns(names),
        "status_page": f"{root}/status",
        "overview": f"{root}/",
    }


def _dns(names: DnsServers | None) -> dict[str, Any]:
    if names is None:
        return {"parent": None, "nameservers": None, "resolvers": []}
    return {"parent": names.parent, "nameservers": names.nameservers, "resolvers": names.resolvers}
