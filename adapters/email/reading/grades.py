"""How sure we are of who wrote a mail. From is what somebody typed; only our own receiving server's
Authentication-Results makes more of it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import idna

from adapters.email.reading.lines import domain_safe
from adapters.email.reading.mail import AuthResults, Mail, Result

_AT = re.compile(r"\s{0,3}(?:@|\(at\)|\[at\])\s{0,3}")
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to believe."""

    server: str = ""
    """The authserv-id of the receiving server; without one nobody is ever verified."""
    alignment: Literal["relaxed", "strict"] = "relaxed"
    """Whether ``mail.example.org`` vouches for ``example.org``."""
    several: bool = False
    """The server writes one header for each check, and takes away those that claim to be its own.
    Otherwise only its topmost header counts."""
    received_above: int | None = None
    """Most Received headers that may stand above the server's header; None for any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    grade: Literal["verified", "asserted", "unverified"]
    """``verified``: DMARC, or DKIM of an aligned domain. ``asserted``: only SPF of an aligned
    domain, which everybody has who may send through the same servers."""
    reason: str
    """In few words of low cardinality, e.g. ``dmarc``, ``no_results``, ``several_from``."""


def grade(mail: Mail, trust: Trust, known: Collection[str] = ()) -> Graded:
    """`known` are addresses that have rights (owners, allow-lists): who only looks like one of
    them is unverified, whatever servers say."""
    odd = _odd_author(mail) or _lookalike(mail, known)
    if odd:
        return Graded(grade="unverified", reason=odd)
    return _vouched(_domain(mail.from_address), mail, trust)


def answer_to(mail: Mail, graded: Graded) -> str:
    """Where an answer goes: to From, and to Reply-To only where that is a verified author's own
    address with another tag. No server vouches for Reply-To; anybody who passes a signed mail on
    can add one. Empty when there is nobody to answer."""
    if len(mail.reply_to) != 1 or graded.grade != "verified":
        return mail.from_address
    other = mail.reply_to[0]
    return other if _untagged(other) == _untagged(mail.from_address) else mail.from_address


def _untagged(address: str) -> str:
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _odd_author(mail: Mail) -> str:
    if not mail.from_address:
        found = (each for each in ("several_from", "bad_from", "no_from") if each in mail.problems)
        return next(found, "no_from")
    if any(each in mail.problems for each in ("bad_sender", "several_sender")):
        return "odd_sender"
    if mail.sender and _domain(mail.sender) != _domain(mail.from_address):
        return "other_sender"
    if any(_domain(each) != _domain(mail.from_address) for each in mail.reply_to):
        return "other_reply_to"
    if "bad_reply_to" in mail.problems:
        return "odd_reply_to"
    return _odd_name(mail)


def _odd_name(mail: Mail) -> str:
    """A name that shows another address than the one behind it, or that hides something."""
    plain = _without_marks(mail.from_name)
    if plain != mail.from_name:
        return "hidden_marks_in_name"
    shown = _ADDRESS.findall(_AT.sub("@", _nfkc(plain).lower()))
    return "address_in_name" if set(shown) - {mail.from_address.lower()} else ""


def _nfkc(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _without_marks(text: str) -> str:
    """Without what turns or hides text; joiners belong to emoji and some scripts."""
    return "".join(
        char for char in text if unicodedata.category(char) != "Cf" or char in "\u200c\u200d"
    )


def _lookalike(mail: Mail, known: Collection[str]) -> str:
    """Who reads the same as somebody with rights, and is another."""
    address = mail.from_address.lower()
    domain = _domain(address)
    others = [each.lower() for each in known if "@" in each]
    if address in others:
        return ""
    if _mixed(domain):
        return "mixed_scripts"
    looks = _skeleton(address)
    if any(_skeleton(each) == looks for each in others):
        return "lookalike"
    domains = {_domain(each) for each in others} - {domain}
    if any(_skeleton(each) == _skeleton(domain) for each in domains):
        return "lookalike"
    return ""


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


def _shown(domain: str) -> str:
    try:
        return idna.decode(domain) if "xn--" in domain else domain
    except (idna.IDNAError, UnicodeError):
        return domain


def _mixed(domain: str) -> bool:
    """Whether a label has letters of several scripts that are taken for each other, or of one
    that reads as Latin throughout."""
    for label in _shown(domain).split("."):
        scripts = {_script(char) for char in label if char.isalpha()}
        if len(scripts & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"}) > 1:
            return True
        if scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"} and _skeleton(label).isascii():
            return True
    return False


def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]


_ALIKE = {
    "a": "\u0430\u0251",
    "b": "\u0432\u03b2\u044c\u0185",
    "c": "\u0441\u03f2\u217d",
    "d": "\u0501\u217e",
    "e": "\u0435\u0454\u04bd3\u03b5\u0437",
    "f": "\u0493",
    "g": "\u0261\u0581",
    "h": "\u04bb\u043d\u0570\u03b7",
    "i": "\u0456\u0131\u03b9\u04cf1l|!",
    "j": "\u0458\u03f3",
    "k": "\u043a\u03ba",
    "m": "\u043c\u03bc",
    "n": "\u0578\u043f",
    "o": "\u043e\u03bf\u03c30\u0585",
    "p": "\u0440\u03c1",
    "q": "\u051b\u0566",
    "r": "\u0433\u027c",
    "s": "\u04555\ua731",
    "t": "\u0442\u03c4",
    "u": "\u03c5\u057d\u0446",
    "v": "\u03bd\u0475",
    "w": "\u0461\u051d\u03c9",
    "x": "\u0445\u03c7",
    "y": "\u0443\u03b3\u04af\u10e7",
    "z": "\u1d22",
}
"""What reads as these letters: Cyrillic, Greek and Armenian ones, digits, and an l as an i."""
_READS = str.maketrans({alike: letter for letter, many in _ALIKE.items() for alike in many})
_PAIRS = (("rn", "m"), ("vv", "w"), ("ci", "d"))


def _skeleton(text: str) -> str:
    """What it looks like at a glance."""
    local, at, domain = text.rpartition("@")
    shown = unicodedata.normalize("NFKD", f"{local}{at}{_shown(domain)}").lower()
    kept = "".join(char for char in shown if not unicodedata.combining(char)).translate(_READS)
    for pair, one in _PAIRS:
        kept = kept.replace(pair, one)
    return kept.replace("-", "").replace("_", "")


def _vouched(domain: str, mail: Mail, trust: Trust) -> Graded:
    if not trust.server:
        return Graded(grade="unverified", reason="no_server_configured")
    headers = _trusted(mail.auth, trust)
    if not headers:
        return Graded(grade="unverified", reason="no_results")
    results = [result for header in headers for result in header.results]
    if not results:
        return Graded(grade="unverified", reason="no_results")
    if any(result.method == "dmarc" and result.result == "fail" for result in results):
        return Graded(grade="unverified", reason="dmarc_failed")
    strict = trust.alignment == "strict"
    if any(_by_dmarc(result, domain) for result in results):
        return Graded(grade="verified", reason="dmarc")
    if any(_by_dkim(result, domain, strict) for result in results):
        return Graded(grade="verified", reason="dkim")
    if any(_by_spf(result, domain, strict) for result in results):
        return Graded(grade="asserted", reason="spf")
    passed = any(result.result == "pass" for result in results)
    return Graded(grade="unverified", reason="not_aligned" if passed else "failed")


def _trusted(auth: Sequence[AuthResults], trust: Trust) -> list[AuthResults]:
    """What our server wrote. Servers write at the top, so whatever is below the first header of
    this name may have come with the mail."""
    server = trust.server.lower().removesuffix(".")
    ours = [each for each in auth if each.server == server]
    if trust.received_above is not None:
        ours = [each for each in ours if each.received_above <= trust.received_above]
    if not ours:
        return []
    if not trust.several:
        return ours[:1]
    return [each for each in ours if each.received_above == ours[0].received_above]


def _property(result: Result, kind: str, name: str) -> str:
    """Empty also where it comes twice and differs: nobody can say which was checked."""
    found = [each for each in result.properties if (each.kind, each.name) == (kind, name)]
    values = {each.value.strip("<>") for each in found}
    return values.pop() if len(values) == 1 else ""


def _by_dmarc(result: Result, domain: str) -> bool:
    """DMARC is about From's domain, whatever policy was inherited; it must be this very From."""
    if (result.method, result.result) != ("dmarc", "pass"):
        return False
    return _same(_property(result, "header", "from"), domain)


def _by_dkim(result: Result, domain: str, strict: bool) -> bool:
    if (result.method, result.result) != ("dkim", "pass"):
        return False
    if any(each.name == "d" and each.kind == "header" for each in result.properties):
        return _aligned(_property(result, "header", "d"), domain, strict)
    return _aligned(_domain(_property(result, "header", "i")), domain, strict)


def _by_spf(result: Result, domain: str, strict: bool) -> bool:
    if (result.method, result.result) != ("spf", "pass"):
        return False
    return _aligned(_domain(_property(result, "smtp", "mailfrom")), domain, strict)


def _same(value: str, domain: str) -> bool:
    found = domain_safe(value.rpartition("@")[2])
    return bool(found) and found == domain


def _aligned(value: str, domain: str, strict: bool) -> bool:
    """Relaxed: one stands below the other. The standard's "same organisation" needs a list of all
    public suffixes; a domain without a dot is one."""
    found = domain_safe(value)
    if found == domain:
        return True
    if strict or "." not in found or "." not in domain:
        return False
    return domain.endswith(f".{found}") or found.endswith(f".{domain}")
