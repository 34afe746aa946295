"""The mail host, spoken to by the standard library's own clients and by hand."""

import asyncio
import imaplib
import smtplib
import socket
from collections.abc import Callable
from email.message import EmailMessage
from typing import TypeVar

import pytest

from mailfleet.sandbox.mail.smtp import MailServers
from mailfleet.sandbox.world import World

pytestmark = pytest.mark.anyio

ANN, BEN = "ann@brightwater-mfdemo.com.au", "ben@brightwater-mfdemo.com.au"
T = TypeVar("T")


@pytest.fixture(autouse=True)
def accounts(world: World) -> None:
    world.mail_accounts.update({ANN: 'pa"ss\\word', BEN: "geheimnis"})


async def blocking(function: Callable[[], T]) -> T:
    return await asyncio.to_thread(function)


def smtp(mail: MailServers) -> smtplib.SMTP:
    return smtplib.SMTP(mail.host, mail.smtp_port, timeout=5)


def imap(mail: MailServers) -> imaplib.IMAP4:
    return imaplib.IMAP4(mail.host, mail.imap_port, timeout=5)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_smtp_takes_mail_from_a_user_who_logged_in(mail: MailServers, world: World, mechanism: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ANN, BEN, "Grüße"
    message.set_content("hello")

    def send() -> None:
        with smtp(mail) as client:
            client.ehlo()
            client.user, client.password = ANN, 'pa"ss\\word'
            client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
            client.send_message(message)

    await blocking(send)

    (entry,) = world.log.lists["mail"]
    assert (entry["mail_from"], entry["rcpt_to"]) == (ANN, [BEN])


async def test_smtp_refuses_a_wrong_password_and_an_unknown_user(mail: MailServers) -> None:
    def attempt(user: str, password: str) -> int:
        with smtp(mail) as client:
            try:
                client.login(user, password)
            except smtplib.SMTPAuthenticationError as refused:
                return refused.smtp_code
        return 0

    assert await blocking(lambda: attempt(ANN, "wrong")) == 535
    assert await blocking(lambda: attempt("nobody@brightwater-mfdemo.com.au", "x")) == 535


async def test_smtp_takes_nothing_without_a_login_or_in_anothers_name(mail: MailServers, world: World) -> None:
    def attempts() -> list[int]:
        with smtp(mail) as stranger:
            stranger.ehlo()
            codes = [stranger.mail(ANN)[0]]
        with smtp(mail) as client:
            client.login(BEN, "geheimnis")
            codes += [client.mail(ANN)[0], client.mail(BEN)[0], client.rcpt("no address")[0]]
        return codes

    assert await blocking(attempts) == [530, 553, 250, 501]
    assert not world.log.lists["mail"]


async def test_imap_lets_a_user_in_and_shows_the_inbox(mail: MailServers) -> None:
    def visit() -> list[object]:
        with smtp(mail) as sender:
            sender.login(BEN, "geheimnis")
            sender.sendmail(BEN, [ANN], "Subject: hi\r\n\r\nhello")
        with imap(mail) as client:
            client.login(ANN, 'pa"ss\\word')
            return [
                client.select("INBOX"),
                client.status("INBOX", "(MESSAGES UNSEEN)"),
                client.noop()[0],
                client.list()[1],
                client.select("INBOX", readonly=True)[0],
                client.close()[0],
                client.select("Nowhere")[0],
            ]

    seen = await blocking(visit)

    assert seen[:3] == [("OK", [b"1"]), ("OK", [b"INBOX (MESSAGES 1 UNSEEN 1)"]), "OK"]
    assert b'(\\HasNoChildren) "/" INBOX' in seen[3]
    assert seen[4:] == ["OK", "OK", "NO"]


async def test_imap_knows_authenticate_plain(mail: MailServers) -> None:
    def visit(secret: str) -> str:
        client = imap(mail)
        try:
            return client.authenticate("PLAIN", lambda _: f"\0{BEN}\0{secret}".encode())[0]
        except imaplib.IMAP4.error as refused:
            return str(refused)
        finally:
            client.logout()

    assert await blocking(lambda: visit("geheimnis")) == "OK"
    assert "AUTHENTICATIONFAILED" in await blocking(lambda: visit("wrong"))


async def test_imap_answers_no_to_a_wrong_password(mail: MailServers) -> None:
    def attempt() -> str:
        with imap(mail) as client:
            with pytest.raises(imaplib.IMAP4.error) as refused:
                client.login(ANN, "wrong")
            return str(refused.value)

    assert "Invalid credentials" in await blocking(attempt)


async def test_imap_takes_literals_and_survives_what_it_does_not_know(mail: MailServers) -> None:
    lines = (
        b"a LOGIN {%d+}\r\n%s {9}\r\n" % (len(BEN), BEN.encode()),
        b"geheimnis\r\n",
        b"b FETCH 1 ALL\r\n",
        b"c\r\n",
        b'd LOGIN "unbalanced\r\n',
        b"e LOGOUT\r\n",
    )

    def talk() -> bytes:
        with socket.create_connection((mail.host, mail.imap_port), timeout=5) as sock, sock.makefile("rb") as stream:
            for line in lines:
                sock.sendall(line)
            return stream.read()

    heard = await blocking(talk)

    assert b"+ go ahead\r\n" in heard
    assert b"a OK" in heard
    assert b"b BAD" in heard
    assert b"* BAD" in heard
    assert b"* BYE" in heard
    assert b"e OK" in heard


async def test_commands_before_the_login_are_refused(mail: MailServers) -> None:
    def attempt() -> bytes:
        with socket.create_connection((mail.host, mail.imap_port), timeout=5) as sock, sock.makefile("rb") as stream:
            sock.sendall(b"a SELECT INBOX\r\nb CAPABILITY\r\nc LOGOUT\r\n")
            return stream.read()

    heard = await blocking(attempt)

    assert b"a NO" in heard
    assert b"* CAPABILITY IMAP4rev1" in heard
