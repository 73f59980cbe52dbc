"""BTCTurk's signatures against vectors computed with invented keys (BTCTurk reference, sections 1.2, 4.2 and 9)."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from tickrouter.errors import ConfigError
from tickrouter.venues.btcturk.signing import Signer

PUBLIC = "11111111-2222-3333-4444-555555555555"
PRIVATE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.mark.parametrize(
    ("public", "private", "text", "signature"),
    [
        (PUBLIC, PRIVATE, "1700000000000", "uIbieNveCKUVO8fHeBoNZw1c/jcNOaLQ1L7hOQpYIQ4="),
        (
            "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "AP8Q7yDfMM9Av1CvYJ9wj49wn2CvUL9A",
            "1735689600123",
            "S05ZwgQ/JmuX33hspE+MXbWEpp94XKA553yvhbZnevU=",
        ),
        (
            "test-public-key",
            "dGVzdC1zZWNyZXQta2V5LWZvci11bml0LXRlc3Rz",
            "1735689600000",
            "7gyFGcOS+qnq46h/rl83VtpaEAsh8Th3Z3lQrF7g2I0=",
        ),
        (PUBLIC, PRIVATE, "3000", "LQLqy4DLHVfwTujp7LNhQHe9efYXzHkWYPiVy5oIOVI="),
    ],
)
def test_vectors(public: str, private: str, text: str, signature: str) -> None:
    assert Signer(public, private).sign(text) == signature


def test_an_undecoded_key_gives_another_signature() -> None:
    wrong = hmac.new(PRIVATE.encode(), (PUBLIC + "1700000000000").encode(), hashlib.sha256).digest()
    assert base64.b64encode(wrong).decode() == "JpWn7B3XwfsmtLvMxcje/gqmBYP+sfr5kdurhMbeO7c="
    assert Signer(PUBLIC, PRIVATE).sign("1700000000000") != base64.b64encode(wrong).decode()


def test_headers_hold_the_stamp_that_was_signed() -> None:
    headers = Signer(PUBLIC, PRIVATE).headers(1700000000000)
    assert headers == {
        "X-PCK": PUBLIC,
        "X-Stamp": "1700000000000",
        "X-Signature": "uIbieNveCKUVO8fHeBoNZw1c/jcNOaLQ1L7hOQpYIQ4=",
    }


def test_the_login_signs_the_nonce_and_not_the_time() -> None:
    assert Signer(PUBLIC, PRIVATE).login(1700000000000) == {
        "type": 114,
        "publicKey": PUBLIC,
        "timestamp": 1700000000000,
        "nonce": 3000,
        "signature": "LQLqy4DLHVfwTujp7LNhQHe9efYXzHkWYPiVy5oIOVI=",
    }


def test_a_key_that_is_not_base64_says_so_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="not base64") as caught:
        Signer(PUBLIC, "not*base64*secret")
    assert "secret" not in str(caught.value)
    assert PRIVATE not in repr(Signer(PUBLIC, PRIVATE))
