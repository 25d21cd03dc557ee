"""S11: signature vectors, one table for each scheme, and what a missing secret leads to."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest

from adapters.webhook.signing import Lock, key_of
from adapters.webhook.signing import signed as sign
from tests.adapters.webhook.scene import OTHER, SECRET, signed

NOW = 1_800_000_000.0
BODY = b'{"conversation":"c1","sender":"ada","text":"hello"}'
KEY = b"a-long-enough-shared-secret"

STANDARD = Lock(scheme="standard", secrets=[SECRET])
ROTATING = Lock(scheme="standard", secrets=[OTHER, SECRET])
GITHUB = Lock(
    scheme="github", secrets=[KEY.decode()], header="x-hub-signature-256", prefix="sha256="
)
TIMED = Lock(
    scheme="hmac-hex",
    secrets=[KEY.decode(), "another-secret-of-ours"],
    header="x-signature",
    timestamp_header="x-time",
)
BEARER = Lock(scheme="bearer", secrets=[KEY.decode()], header="authorization", prefix="Bearer ")


def good(at: float = NOW, **more: Any) -> dict[str, str]:
    return signed(BODY, id="msg_1", at=at, **more)


def test_the_published_vector_of_the_specification() -> None:
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    headers = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, [secret])

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert Lock(scheme="standard", secrets=[secret]).opens(headers, body, 1614265330)


def test_what_we_sign_is_what_a_receiver_checks() -> None:
    assert sign("msg_1", NOW, BODY, [SECRET]) == good()
    assert sign("msg_1", NOW, BODY, [SECRET, OTHER]) == good(secrets=(SECRET, OTHER))


def changed(**headers: str) -> dict[str, str]:
    return {**good(), **{name.replace("_", "-"): value for name, value in headers.items()}}


SIGNATURE = good()["webhook-signature"]

STANDARD_VECTORS: dict[str, tuple[dict[str, str], bytes, bool]] = {
    "right": (good(), BODY, True),
    "wrong secret": (good(secrets=(OTHER,)), BODY, False),
    "two signatures, the second is ours": (good(secrets=(OTHER, SECRET)), BODY, True),
    "beside one of another version": (
        changed(webhook_signature=f"v1a,{'A' * 86}== {SIGNATURE}"), BODY, True,
    ),
    "only one of another version": (
        changed(webhook_signature=SIGNATURE.replace("v1,", "v2,")), BODY, False,
    ),
    "no signature": (changed(webhook_signature=""), BODY, False),
    "version without a signature": (changed(webhook_signature="v1,"), BODY, False),
    "without a comma": (changed(webhook_signature="v1"), BODY, False),
    "truncated": (changed(webhook_signature=SIGNATURE[:-2]), BODY, False),
    "truncated, padded": (changed(webhook_signature=SIGNATURE[:-5] + "AAA="), BODY, False),
    "another algorithm": (
        changed(webhook_signature="v1," + base64.b64encode(hashlib.sha1(BODY).digest()).decode()),
        BODY, False,
    ),
    "hex instead of base64": (
        changed(webhook_signature="v1," + base64.b64decode(SIGNATURE[3:]).hex()), BODY, False,
    ),
    "not base64": (changed(webhook_signature="v1," + "!" * 44), BODY, False),
    "letters that are none": (changed(webhook_signature="v1," + "é" * 44), BODY, False),
    "commas for blanks": (changed(webhook_signature=f"{SIGNATURE},{SIGNATURE}"), BODY, False),
    "the right one behind sixteen others": (
        changed(webhook_signature=" ".join(["v1," + "A" * 43 + "="] * 16 + [SIGNATURE])),
        BODY, False,
    ),
    "one byte changed": (good(), BODY.replace(b"hello", b"hellp"), False),
    "one byte more": (good(), BODY + b" ", False),
    "empty body": (good(), b"", False),
    "another id": (changed(webhook_id="msg_2"), BODY, False),
    "no id": (changed(webhook_id=""), BODY, False),
    "an id on two lines": (changed(webhook_id="a\nb"), BODY, False),
    "an endless id": (changed(webhook_id="a" * 300), BODY, False),
    "another time": (changed(webhook_timestamp=str(int(NOW) + 1)), BODY, False),
    "no time": (changed(webhook_timestamp=""), BODY, False),
    "a time that is none": (changed(webhook_timestamp="nan"), BODY, False),
    "a time with a fraction": (changed(webhook_timestamp=f"{NOW}"), BODY, False),
    "a time in other digits": (changed(webhook_timestamp="١٨٠٠٠٠٠٠٠٠"), BODY, False),
    "four minutes old": (good(NOW - 240), BODY, True),
    "six minutes old": (good(NOW - 360), BODY, False),
    "four minutes ahead": (good(NOW + 240), BODY, True),
    "six minutes ahead": (good(NOW + 360), BODY, False),
}  # fmt: skip


@pytest.mark.parametrize("name", STANDARD_VECTORS)
def test_standard_webhooks(name: str) -> None:
    headers, body, right = STANDARD_VECTORS[name]
    assert STANDARD.opens(headers, body, NOW) is right


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_came_twice_is_left_out_and_counts_as_missing(missing: str) -> None:
    headers = {name: value for name, value in good().items() if name != missing}
    assert not STANDARD.admits(headers, NOW)


def test_two_secrets_count_while_one_is_changed_for_the_other() -> None:
    for secret in (SECRET, OTHER):
        assert ROTATING.opens(good(secrets=(secret,)), BODY, NOW)
    assert not Lock(scheme="standard", secrets=[OTHER]).opens(good(), BODY, NOW)


def test_an_old_signature_under_a_new_time_is_wrong() -> None:
    replayed = {**good(NOW - 3600), "webhook-timestamp": str(int(NOW))}
    assert STANDARD.admits(replayed, NOW)
    assert not STANDARD.opens(replayed, BODY, NOW)


def hexed(body: bytes, key: bytes = KEY, algorithm: Callable[..., Any] = hashlib.sha256) -> str:
    return hmac.new(key, body, algorithm).hexdigest()


GITHUB_VECTORS: dict[str, tuple[str, bytes, bool]] = {
    "right": ("sha256=" + hexed(BODY), BODY, True),
    "wrong secret": ("sha256=" + hexed(BODY, b"other"), BODY, False),
    "empty": ("", BODY, False),
    "only the algorithm": ("sha256=", BODY, False),
    "no algorithm": (hexed(BODY), BODY, False),
    "another algorithm": ("sha1=" + hexed(BODY, algorithm=hashlib.sha1), BODY, False),
    "another algorithm under this name": (
        "sha256=" + hexed(BODY, algorithm=hashlib.sha1), BODY, False,
    ),
    "truncated": ("sha256=" + hexed(BODY)[:-1], BODY, False),
    "upper case": ("sha256=" + hexed(BODY).upper(), BODY, False),
    "twice in one": (f"sha256={hexed(BODY)}, sha256={hexed(BODY)}", BODY, False),
    "with a blank": ("sha256= " + hexed(BODY), BODY, False),
    "one byte changed": ("sha256=" + hexed(BODY), BODY.replace(b"hello", b"hellp"), False),
}  # fmt: skip


@pytest.mark.parametrize("name", GITHUB_VECTORS)
def test_github(name: str) -> None:
    signature, body, right = GITHUB_VECTORS[name]
    assert GITHUB.opens({"x-hub-signature-256": signature}, body, NOW) is right


def test_githubs_own_published_example() -> None:
    lock = Lock(
        scheme="github", secrets=["It's a Secret to Everybody"], header="x-hub-signature-256",
        prefix="sha256=",
    )  # fmt: skip
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert lock.opens({"x-hub-signature-256": f"sha256={digest}"}, b"Hello, World!", NOW)


@pytest.mark.parametrize(
    ("at", "signed_at", "key", "right"),
    [
        (NOW, NOW, KEY, True),
        (NOW, NOW, b"another-secret-of-ours", True),
        (NOW, NOW, b"neither", False),
        (NOW, NOW - 1, KEY, False),
        (NOW - 240, NOW - 240, KEY, True),
        (NOW - 360, NOW - 360, KEY, False),
        (NOW + 360, NOW + 360, KEY, False),
    ],
)
def test_hmac_with_a_signed_time(at: float, signed_at: float, key: bytes, right: bool) -> None:
    signature = hexed(f"{signed_at:.0f}.".encode() + BODY, key)
    headers = {"x-signature": signature, "x-time": f"{at:.0f}"}
    assert TIMED.opens(headers, BODY, NOW) is right
    assert not TIMED.opens({"x-signature": signature}, BODY, NOW)


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (f"Bearer {KEY.decode()}", True),
        (f"Bearer {KEY.decode()}x", False),
        (f"Bearer {KEY.decode()[:-1]}", False),
        (KEY.decode(), False),
        (f"bearer {KEY.decode()}", False),
        ("Bearer ", False),
        ("Bearer é", False),
        ("", False),
    ],
)
def test_a_secret_in_a_header_is_checked_before_the_body_is_read(given: str, right: bool) -> None:
    assert BEARER.admits({"authorization": given}, NOW) is right


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_é", "whsec_AAAA"]
)
def test_what_is_no_secret_of_standard_webhooks(secret: str) -> None:
    with pytest.raises(ValueError, match=r"begins with|base64|bytes"):
        key_of(secret)
