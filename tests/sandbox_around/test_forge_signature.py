"""The signature of the Forge stack's webhooks, against the published vector."""

from __future__ import annotations

import base64

from mailfleet.sandbox.forge.notices import signature


def test_the_published_signature_vector() -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode().rstrip("=")
    body = b'{"webhookInfo":{"type":"email_sent"}}'
    header = signature(secret, "wh_0123456789abcdef", 1754563200, body)
    assert header == "t=1754563200,v1=d35d432699cc9e59eb73da4396b9a3a96003ba6a9ae259256d270ff3c8f24207"
