"""Signatures of REST requests and of the socket's login (BTCTurk reference, sections 1.2 and 4.2)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping

from .accounts import Account, Accounts
from .problems import unauthorized

STAMP_TOLERANCE_MS = 5_000
MAX_NONCE_MS = 60_000
"""The login's nonce looks like an allowed age in ms: 3000 and 15000 were seen, a time passed as nonce fails."""


def sign(public_key: str, private_key: str, number: int) -> str:
    """base64 of HMAC-SHA256, keyed with the decoded private key, over public key and decimal number."""
    message = f"{public_key}{number}".encode()
    return base64.b64encode(hmac.digest(base64.b64decode(private_key), message, "sha256")).decode()


def check_request(
    headers: Mapping[bytes, bytes], accounts: Accounts, now_ms: int, tolerance_ms: int = STAMP_TOLERANCE_MS
) -> Account:
    """The account that signed a request. A stamp may be used again: staff's own clients stamp whole seconds.

    Raises:
        Problem: 401, with the venue's words.
    """
    key = headers.get(b"x-pck", b"").decode("latin-1")
    stamp = headers.get(b"x-stamp", b"").decode("latin-1")
    signature = headers.get(b"x-signature", b"").decode("latin-1")
    if not key or not stamp or not signature:
        raise unauthorized("Headers are missing")
    account = accounts.of_key(key)
    if account is None:
        raise unauthorized("Invalid Public key")
    if not stamp.isascii() or not stamp.isdecimal() or len(stamp) > 16:
        raise unauthorized("Invalid Request")
    if abs(now_ms - int(stamp)) > tolerance_ms:
        raise unauthorized("Invalid Nonce")
    if not hmac.compare_digest(signature.encode(), _signature(account.keys.private_key, key, stamp)):
        raise unauthorized("Invalid Signature")
    return account


def check_login(message: Mapping[str, object], accounts: Accounts, now_ms: int) -> Account:
    """The account that a login message (114) names. The nonce is signed, the timestamp is not.

    Raises:
        Problem: its message is the text for the answer.
    """
    key, signature = message.get("publicKey"), message.get("signature")
    timestamp, nonce = message.get("timestamp"), message.get("nonce")
    if not isinstance(key, str) or not isinstance(signature, str):
        raise unauthorized("Invalid Request")
    account = accounts.of_socket_key(key)
    if account is None:
        raise unauthorized("Invalid Public key")
    if not isinstance(timestamp, int) or not isinstance(nonce, int):
        raise unauthorized("Invalid Request")
    if not 0 < nonce <= MAX_NONCE_MS or abs(now_ms - timestamp) > nonce:
        raise unauthorized("Invalid Nonce")
    if not hmac.compare_digest(signature.encode(), _signature(account.keys.socket_private_key, key, str(nonce))):
        raise unauthorized("Invalid Signature")
    return account


def _signature(private_key: str, public_key: str, number: str) -> bytes:
    return base64.b64encode(
        hmac.digest(base64.b64decode(private_key), (public_key + number).encode("latin-1"), "sha256")
    )
