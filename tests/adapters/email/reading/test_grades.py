"""Who somebody is: what our server vouches for, and 144 ways to pretend."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from adapters.email.reading import Trust, answer_to, grade
from adapters.email.reading.results import auth_results
from tests.adapters.email.reading.builders import HUMAN, mail

OURS = Trust(server="mx.example.org")
ADA = "ada@example.net"
KNOWN = (ADA, "owner@paypal.example")

PASS = "dmarc=pass (p=REJECT) header.from=example.net"
EVIL = "evil.example"
EVIL_PASS = (
    f"dmarc=pass header.from={EVIL}; dkim=pass header.d={EVIL}; spf=pass smtp.mailfrom={EVIL}"
)
Headers = dict[str, str | list[str] | None]


def results(*values: str, server: str = "mx.example.org") -> str:
    return "; ".join((server, *values))


@pytest.mark.parametrize(
    ("said", "expected", "reason"),
    [
        (PASS, "verified", "dmarc"),
        ("dmarc=pass action=none header.from=example.net", "verified", "dmarc"),
        ('dmarc=pass header.from="example.net"', "verified", "dmarc"),
        ("DMARC=Pass Header.From=EXAMPLE.NET", "verified", "dmarc"),
        ("dmarc=none header.from=example.net; dkim=pass header.d=example.net", "verified", "dkim"),
        ("dkim=pass header.i=@example.net header.s=s header.b=ab/cd==", "verified", "dkim"),
        ("dkim=pass (2048-bit key) header.d=example.net header.i=@example.net", "verified", "dkim"),
        ("dkim=pass header.d=mail.example.net", "verified", "dkim"),
        ("dkim=fail header.d=example.net; dkim=pass header.d=example.net", "verified", "dkim"),
        ("dkim/1=pass header.d=example.net", "verified", "dkim"),
        ("spf=pass (is allowed) smtp.mailfrom=ada@example.net", "asserted", "spf"),
        ("spf=pass smtp.mailfrom=example.net", "asserted", "spf"),
        ("spf=pass smtp.mailfrom=bounces.example.net", "asserted", "spf"),
        ("spf=pass smtp.helo=example.net", "unverified", "not_aligned"),
        ("dkim=pass header.d=evil.example", "unverified", "not_aligned"),
        ("dkim=pass header.d=net", "unverified", "not_aligned"),
        ("dkim=pass header.d=notexample.net", "unverified", "not_aligned"),
        ("dkim=pass header.d=evil.example header.i=@example.net", "unverified", "not_aligned"),
        ("dkim=pass header.d=example.net header.d=evil.example", "unverified", "not_aligned"),
        ("dkim=pass", "unverified", "not_aligned"),
        ("dmarc=pass header.from=mail.example.net", "unverified", "not_aligned"),
        ("dmarc=pass", "unverified", "not_aligned"),
        ("dmarc=fail header.from=example.net", "unverified", "dmarc_failed"),
        ("dkim=pass header.d=example.net; dmarc=fail", "unverified", "dmarc_failed"),
        ("dkim=fail header.d=example.net; spf=softfail", "unverified", "failed"),
        ("none", "unverified", "no_results"),
        ("arc=pass; iprev=pass policy.iprev=192.0.2.1", "unverified", "not_aligned"),
        ("dkim=pass reason=(unclosed header.d=example.net", "unverified", "no_results"),
        ('dkim=pass header.d="example.net', "unverified", "no_results"),
        ("x-dkim=pass header.d=example.net", "unverified", "not_aligned"),
        ("dkim=pass policy.d=example.net", "unverified", "not_aligned"),
    ],
)
def test_what_our_server_says(said: str, expected: str, reason: str) -> None:
    graded = grade(mail({"Authentication-Results": results(said)}), OURS, KNOWN)

    assert (graded.grade, graded.reason) == (expected, reason)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("dkim=pass header.d=example.net", "verified"),
        ("dkim=pass header.d=mail.example.net", "unverified"),
        ("spf=pass smtp.mailfrom=bounces.example.net", "unverified"),
    ],
)
def test_strict_alignment_takes_no_other_domain(said: str, expected: str) -> None:
    strict = replace(OURS, alignment="strict")

    assert grade(mail({"Authentication-Results": results(said)}), strict).grade == expected


@pytest.mark.parametrize(
    "header",
    [
        results(PASS, server="MX.Example.ORG"),
        results(PASS, server="mx.example.org 1"),
        results(PASS, server='"mx.example.org"'),
        results(PASS, server="(our own) mx.example.org (really)"),
        results(PASS).replace("; ", ";\r\n\t"),
        results(PASS) + ";",
    ],
)
def test_the_server_is_known_however_it_is_written(header: str) -> None:
    assert grade(mail({"Authentication-Results": header}), OURS).grade == "verified"


@pytest.mark.parametrize(
    "header",
    [
        results(PASS, server="mx.example.org.evil.example"),
        results(PASS, server="evil-mx.example.org"),
        results(PASS, server="mx.example"),
        PASS,
        "",
        "; " + PASS,
        "= " + PASS,
        f"(mx.example.org); {PASS}",
        f"mx.evil.example (mx.example.org); {PASS}",
    ],
)
def test_no_other_server_is_believed(header: str) -> None:
    assert grade(mail({"Authentication-Results": header}), OURS).grade == "unverified"


def test_without_a_server_nobody_is_verified() -> None:
    graded = grade(mail({"Authentication-Results": results(PASS)}), Trust())

    assert (graded.grade, graded.reason) == ("unverified", "no_server_configured")


def test_a_server_that_writes_several_headers_is_believed_where_it_strips_others() -> None:
    split = mail(
        {
            "Return-Path": None,
            "Received": None,
            "Authentication-Results": [
                results("dmarc=none header.from=example.net"),
                results("dkim=pass header.d=example.net"),
            ],
        }
    )

    assert grade(split, OURS).grade == "unverified"
    assert grade(split, replace(OURS, several=True)).grade == "verified"


# --- pretending -----------------------------------------------------------------------------------

# What the mail shows, and what our server truthfully says of it.
SPOOFS: dict[str, tuple[Headers, str]] = {
    "From typed": ({}, f"dmarc=fail header.from=example.net; spf=pass smtp.mailfrom={EVIL}"),
    "From typed, no policy": ({}, f"dmarc=none; dkim=pass header.d={EVIL}"),
    "From typed, own envelope": ({}, f"spf=pass smtp.mailfrom=eve@{EVIL}"),
    "From first of two": ({"From": [ADA, f"eve@{EVIL}"]}, EVIL_PASS),
    "From second of two": ({"From": [f"eve@{EVIL}", ADA]}, EVIL_PASS),
    "two in one From": ({"From": f"{ADA}, eve@{EVIL}"}, EVIL_PASS),
    "two in angles": ({"From": f"<{ADA}> <eve@{EVIL}>"}, EVIL_PASS),
    "a group": ({"From": f"Ada <{ADA}>: eve@{EVIL};"}, EVIL_PASS),
    "address as name": ({"From": f'"{ADA}" <eve@{EVIL}>'}, EVIL_PASS),
    "address as encoded name": (
        {"From": f"=?utf-8?q?Ada_=3Cada=40example.net=3E?= <eve@{EVIL}>"},
        EVIL_PASS,
    ),
    "address as name, spelt out": ({"From": f'"ada (at) example.net" <eve@{EVIL}>'}, EVIL_PASS),
    "name turned round": ({"From": f"=?utf-8?q?Ada=E2=80=AE?= <eve@{EVIL}>"}, EVIL_PASS),
    "Sender elsewhere": ({"Sender": f"eve@{EVIL}"}, PASS),
    "Reply-To elsewhere": ({"Reply-To": f"Ada <eve@{EVIL}>"}, PASS),
    "look-alike by script": (
        {"From": "Ada <ada@ex\u0430mple.net>"},
        "dmarc=pass header.from=xn--exmple-4nf.net",
    ),
    "look-alike by digit": (
        {"From": "PayPal <owner@paypa1.example>"},
        "dmarc=pass header.from=paypa1.example",
    ),
    "ours as a subdomain": (
        {"From": "Ada <ada@example.net.evil.example>", "Sender": ADA},
        "dmarc=pass header.from=example.net.evil.example",
    ),
    "two at signs": ({"From": f"Ada <ada@example.net@{EVIL}>"}, EVIL_PASS),
}
FORGERIES: dict[str, list[str]] = {
    "nothing forged": [],
    "our name": [results(PASS)],
    "our name in other clothes": [results(PASS, server='"MX.example.org"') + "; dkim=pass", PASS],
    "another name": [results(PASS, server="mx.example.net"), results(PASS, server="localhost")],
}


@pytest.mark.parametrize("order", ["above From", "below From"])
@pytest.mark.parametrize(("spoof", "forgery"), list(itertools.product(SPOOFS, FORGERIES)))
def test_nobody_passes_for_somebody_else(spoof: str, forgery: str, order: str) -> None:
    shown, truth = SPOOFS[spoof]
    trusted: Headers = {"Authentication-Results": results(truth), "Received": HUMAN["Received"]}
    forged: Headers = {"authentication-results": FORGERIES[forgery]}
    pieces = [trusted, forged, {**HUMAN_REST, **shown}]
    if order == "below From":
        pieces = [trusted, {**HUMAN_REST, **shown}, forged]
    headers: Headers = {name: None for name in HUMAN}
    for piece in pieces:
        for name, value in piece.items():
            headers.pop(name, None)
            headers[name] = value
    pretended = mail(headers)

    graded = grade(pretended, OURS, KNOWN)

    assert graded.grade == "unverified", graded.reason
    assert answer_to(pretended, graded) in ("", pretended.from_address)


HUMAN_REST: Headers = {name: value for name, value in HUMAN.items() if name != "Received"}


def test_there_are_as_many_spoofs_as_promised() -> None:
    assert len(SPOOFS) * len(FORGERIES) * 2 >= 120


def test_our_name_below_a_hop_too_many_is_forged() -> None:
    forged = mail(
        {
            "Received": ["by mx.example.org", "by mx.evil.example"],
            "Authentication-Results": results(PASS),
        }
    )

    assert forged.auth[0].received_above == 2
    assert grade(forged, replace(OURS, received_above=1)).grade == "unverified"
    assert grade(forged, replace(OURS, received_above=2)).grade == "verified"


def test_what_our_server_could_not_write_readably_hides_no_forgery() -> None:
    both = mail({"Authentication-Results": [results("spf=pass (unclosed"), results(PASS)]})

    assert grade(both, OURS).reason == "no_results"


@pytest.mark.parametrize(
    "headers",
    [
        {"From": "Ada Lovelace <ada@example.net>"},
        {"From": "=?utf-8?q?Ad=C3=A4?= <ada@example.net>"},
        {"From": '"ada@example.net" <ada@example.net>'},
        {"From": "ada@example.net (Ada)"},
        {"Sender": "secretary@example.net"},
        {"Reply-To": "ada+home@example.net"},
        {"From": "Charles <charles@example.net>"},
        {"From": "=?utf-8?b?8J+RqeKAjfCfkrs=?= Ada <ada@example.net>"},  # an emoji with a joiner
    ],
)
def test_people_are_who_they_say(headers: Headers) -> None:
    signed = mail({"Authentication-Results": results(PASS), **headers})

    assert grade(signed, OURS, KNOWN).grade == "verified"


@pytest.mark.parametrize(
    "domain", ["münchen.example", "почта.example", "例え.example", "ελλάδα.example"]
)
def test_other_scripts_are_no_crime(domain: str) -> None:
    ascii_domain = mail({"From": f"a@{domain}"}).from_address.partition("@")[2]
    signed = mail(
        {
            "From": f"Ada <a@{domain}>",
            "Authentication-Results": results(f"dmarc=pass header.from={ascii_domain}"),
        }
    )

    assert grade(signed, OURS, KNOWN).grade == "verified"


@pytest.mark.parametrize(
    ("author", "known"),
    [
        ("ada@examp1e.net", "ada@example.net"),
        ("ada@exarnple.net", "ada@example.net"),
        ("ada@ex-ample.net", "ada@example.net"),
        ("ada@exämple.net", "ada@example.net"),
        ("ada@еxample.net", "ada@example.net"),
        ("ada@раураl.example", "owner@paypal.example"),
        ("a1ice@example.net", "alice@example.net"),
        ("ada@vvire.example", "ada@wire.example"),
        ("ada@c1oud.example", "ada@cloud.example"),
        ("ada@examp\u04cfe.net", "ada@example.net"),
    ],
)
def test_who_only_looks_like_somebody_with_rights_has_none(author: str, known: str) -> None:
    domain = mail({"From": author}).from_address.partition("@")[2]
    signed = mail(
        {
            "From": author,
            "Authentication-Results": results(f"dmarc=pass header.from={domain}"),
        }
    )

    assert grade(signed, OURS, [known]).grade == "unverified"


@pytest.mark.parametrize(
    ("reply_to", "to"),
    [
        (None, ADA),
        ("ada@example.net", ADA),
        ("ada+home@example.net", "ada+home@example.net"),
        ("charles@example.net", ADA),
        (f"eve@{EVIL}", ADA),
        (f"ada@example.net, eve@{EVIL}", ADA),
    ],
)
def test_an_answer_goes_to_its_author(reply_to: str | None, to: str) -> None:
    signed = mail({"Authentication-Results": results(PASS), "Reply-To": reply_to})

    assert answer_to(signed, grade(signed, OURS)) == to


def test_an_unverified_author_is_answered_nowhere_else() -> None:
    typed = mail({"Reply-To": "ada+home@example.net"})

    assert answer_to(typed, grade(typed, OURS)) == ADA


def test_results_are_read_as_they_stand() -> None:
    read = auth_results(
        'mx.example.org 1; (x) spf=fail (a; b=c "\\(") reason="no; way"'
        " smtp.mailfrom=ada@example.net; dkim=pass header.b=ab=/+ header.d=example.net",
        3,
    )

    assert read.server == "mx.example.org"
    assert [(each.method, each.result) for each in read.results] == [
        ("spf", "fail"),
        ("dkim", "pass"),
    ]
    assert [(each.kind, each.name, each.value) for each in read.results[1].properties] == [
        ("header", "b", "ab=/+"),
        ("header", "d", "example.net"),
    ]
    assert read.received_above == 3
