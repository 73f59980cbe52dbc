"""Who may do what: REST signatures and the socket's login."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.simulator.accounts import Account, Accounts
from services.simulator.problems import Problem
from services.simulator.signatures import check_login, check_request, sign
from tests.unit.simulator.making import keys_of

NOW = 1_700_000_000_000
KEYS = keys_of("ann")
ACCOUNTS = Accounts([Account(1, KEYS)])


def _headers(**changed: str) -> dict[bytes, bytes]:
    stamp = changed.pop("stamp", str(NOW))
    key = changed.pop("key", KEYS.public_key)
    signature = changed.pop("signature", sign(KEYS.public_key, KEYS.private_key, int(stamp)))
    return {b"x-pck": key.encode(), b"x-stamp": stamp.encode(), b"x-signature": signature.encode()}


def _login(**changed: Any) -> dict[str, Any]:
    nonce = changed.get("nonce", 3000)
    message = {
        "publicKey": KEYS.socket_public_key,
        "timestamp": NOW,
        "nonce": nonce,
        "signature": sign(KEYS.socket_public_key, KEYS.socket_private_key, nonce if isinstance(nonce, int) else 3000),
    }
    return {key: value for key, value in (message | changed).items() if value is not None}


def test_first_vector_of_the_reference() -> None:
    """BTCTurk reference, section 1.2, vector 1: private key of bytes 00 to 1f."""
    private = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    signature = sign("11111111-2222-3333-4444-555555555555", private, NOW)
    assert signature == "uIbieNveCKUVO8fHeBoNZw1c/jcNOaLQ1L7hOQpYIQ4="


@pytest.mark.reference
def test_all_vectors_of_the_reference(reference: Path) -> None:
    examples = json.loads((reference / "reference" / "btcturk_examples.json").read_text(encoding="utf-8"))
    for vector in examples["signature_vectors"]["vectors"]:
        number = int(vector.get("nonce") or vector["stamp"])
        signature = sign(vector["public_key"], vector["private_key_base64"], number)
        assert signature == vector["signature"]
        assert signature != vector.get("wrong_if_key_not_decoded")


@pytest.mark.parametrize("drift", [-5000, -1, 0, 1, 5000])
def test_a_right_request_names_its_account_and_may_be_repeated(drift: int) -> None:
    headers = _headers(stamp=str(NOW + drift))
    assert check_request(headers, ACCOUNTS, NOW).id == 1
    assert check_request(headers, ACCOUNTS, NOW).id == 1


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "Headers are missing"),
        (_headers(signature=""), "Headers are missing"),
        (_headers(key="nobody"), "Invalid Public key"),
        (_headers(key=KEYS.socket_public_key), "Invalid Public key"),
        (_headers(stamp=str(NOW - 5001)), "Invalid Nonce"),
        (_headers(stamp=str(NOW + 5001)), "Invalid Nonce"),
        (_headers(stamp=str(NOW // 1000)), "Invalid Nonce"),
        (_headers(signature="AAAA"), "Invalid Signature"),
    ],
)
def test_a_wrong_request_is_401_with_success_true(headers: dict[bytes, bytes], words: str) -> None:
    with pytest.raises(Problem) as caught:
        check_request(headers, ACCOUNTS, NOW)
    assert caught.value.status == 401
    assert caught.value.body == {"success": True, "message": f"Unauthorized - {words}", "code": 1037}


def test_a_stamp_that_is_no_number_is_an_invalid_request() -> None:
    headers = _headers() | {b"x-stamp": b"17e9"}
    with pytest.raises(Problem, match="Invalid Request"):
        check_request(headers, ACCOUNTS, NOW)


def test_a_right_login_names_its_account() -> None:
    assert check_login(_login(), ACCOUNTS, NOW).id == 1
    assert check_login(_login(nonce=15000, timestamp=NOW - 14_000), ACCOUNTS, NOW).id == 1


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (_login(publicKey=KEYS.public_key), "Invalid Public key"),
        (_login(publicKey=None), "Invalid Request"),
        (_login(timestamp=None), "Invalid Request"),
        (_login(nonce="3000"), "Invalid Request"),
        (_login(nonce=NOW), "Invalid Nonce"),
        (_login(timestamp=NOW - 3001), "Invalid Nonce"),
        (_login(signature="AAAA"), "Invalid Signature"),
    ],
)
def test_a_wrong_login_is_refused_in_words(message: dict[str, Any], words: str) -> None:
    with pytest.raises(Problem, match=words):
        check_login(message, ACCOUNTS, NOW)
