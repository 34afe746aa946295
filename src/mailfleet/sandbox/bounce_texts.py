"""What mail systems say when they refuse, in words of our own around the codes of RFC 3463 and RFC 5321."""

from __future__ import annotations

from mailfleet.sandbox.seeds import fraction
from mailfleet.sandbox.world import World

_TEXTS: dict[str, dict[str, tuple[str, ...]]] = {
    "google": {
        "hard": (
            "550-5.1.1 The email account that you tried to reach does not exist. Please try double-checking the "
            "recipient's email address for typos or unnecessary spaces. For more information, go to "
            "550 5.1.1 https://support.google.com/mail/?p=NoSuchUser {id}.{tail} - gsmtp",
            "550 5.2.1 The email account that you tried to reach is inactive. {id}.{tail} - gsmtp",
        ),
        "soft": (
            "452-4.2.2 The recipient's inbox is out of storage space. Please direct the recipient to "
            "452 4.2.2 https://support.google.com/mail/?p=OverQuotaTemp {id}.{tail} - gsmtp",
        ),
        "block": (
            "550-5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all senders "
            "to authenticate with either SPF or DKIM. 550 5.7.26 DKIM = did not pass {id}.{tail} - gsmtp",
            "550-5.7.1 [192.0.2.10] Gmail has detected that this message is likely unsolicited mail. To reduce the "
            "amount of spam sent to Gmail, this message has been blocked. 550 5.7.1 {id}.{tail} - gsmtp",
        ),
    },
    "microsoft": {
        "hard": (
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {to} not found by SMTP address lookup",
            "550 5.4.1 Recipient address rejected: Access denied. [{id}.ausprd01.prod.outlook.com]",
        ),
        "soft": (
            "452 4.2.2 STOREDRV.Deliver; mailbox full. The following information should help identify the problem: "
            "QuotaExceededException [{id}.prod.outlook.com]",
            "451 4.7.500 Server busy. Please try again later from [192.0.2.10]. (S77719) [{id}.prod.outlook.com]",
        ),
        "block": (
            "550 5.7.515 Access denied, sending domain {domain} doesn't meet the required authentication level. "
            "[{id}.prod.outlook.com]",
            "550 5.7.1 Unfortunately, messages from [192.0.2.10] weren't sent. Please contact your Internet service "
            "provider since part of their network is on our block list (S3140). [{id}.prod.outlook.com]",
        ),
    },
    "yahoo": {
        "hard": ("554 30 Sorry, your message to {to} cannot be delivered. This mailbox is disabled (554.30).",),
        "soft": (
            "421 4.7.0 [TSS04] Messages from 192.0.2.10 temporarily deferred due to unexpected volume or user "
            "complaints - {id}",
            "452 4.2.2 Mailbox is over quota - {id}",
        ),
        "block": (
            "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.10, because the ip is listed - {id}",
        ),
    },
    "postfix": {
        "hard": (
            "550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table",
            "550 5.1.1 <{to}>: Recipient address rejected: undeliverable address: no such user here",
        ),
        "soft": (
            "450 4.2.0 <{to}>: Recipient address rejected: Greylisted, delivery not retried within the allowed time",
            "452 4.2.2 <{to}>: Quota exceeded (mailbox for user is full)",
            "451 4.4.1 timed out while receiving the initial server greeting from {mx}",
        ),
        "block": ("554 5.7.1 Service unavailable; Client host [192.0.2.10] blocked using a DNS blocklist",),
    },
}


def bounce_text(world: World, provider: str, kind: str, *, to: str, sender: str, authenticated: bool) -> str:
    """The refusal of a provider (`hard`, `soft` or `block`) for one mail."""
    choices = _TEXTS.get(provider, _TEXTS["postfix"])[kind]
    share = fraction(world, "refusal", provider, to)
    # Of the two refusals about us, the first is about missing authentication.
    place = int(share * len(choices)) if kind != "block" else -1 if authenticated else 0
    host = to.rpartition("@")[2]
    return choices[place].format(
        id=f"{int(share * 10**10):010d}", tail="a1", to=to, domain=sender.rpartition("@")[2], mx=f"mx.{host}"
    )


def report(text: str, *, to: str, subject: str) -> str:
    """The notice that reaches the sender's mailbox: the human part of a delivery status report (RFC 3464)."""
    code = next((word for word in text.replace("-", " ").split() if word.count(".") == 2 and word[0] in "45"), "")
    status = code.rstrip(".") if code else ("5.0.0" if text.startswith("5") else "4.0.0")
    return (
        f"Your message to {to} with the subject {subject!r} could not be delivered.\n\n"
        f"The response from the remote server was:\n{text}\n\n"
        f"Final-Recipient: rfc822; {to}\nAction: failed\nStatus: {status}\nDiagnostic-Code: smtp; {text}"
    )
