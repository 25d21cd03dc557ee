"""Authentication-Results (RFC 8601), header by header."""

from __future__ import annotations

from adapters.email.reading.mail import AuthResults, Property, Result
from adapters.email.reading.tokens import Malformed, Token, tokens

_WORDS = ("atom", "quoted")


def auth_results(value: str, received_above: int) -> AuthResults:
    """What cannot be read to its end keeps its server and loses its results: what our own server
    wrote must not count for less than a forgery below it, only because a stranger's domain in it
    is odd."""
    found: list[Token] = []
    try:
        for token in tokens(value, ";="):
            found.append(token)  # one by one: what was read before it broke off is needed
    except Malformed:
        return AuthResults(server=_server(found), received_above=received_above)
    try:
        results = _results(found)
    except Malformed:
        results = ()
    return AuthResults(server=_server(found), results=results, received_above=received_above)


def _server(found: list[Token]) -> str:
    """Some servers leave their name out and begin with a method: nobody can believe them."""
    if not found or found[0].kind not in _WORDS or (len(found) > 1 and found[1].kind == "="):
        return ""
    return found[0].text.lower().removesuffix(".")


def _results(found: list[Token]) -> tuple[Result, ...]:
    statements: list[list[Token]] = [[]]
    for token in found:
        if token.kind == ";":
            statements.append([])
        else:
            statements[-1].append(token)
    return tuple(_result(each) for each in statements[1:] if each and not _is_none(each))


def _is_none(statement: list[Token]) -> bool:
    return len(statement) == 1 and statement[0].text.lower() == "none"


def _result(statement: list[Token]) -> Result:
    pairs = _pairs(statement)
    (method, result), *rest = pairs
    properties = []
    for name, value in rest:
        kind, dot, name_ = name.lower().partition(".")
        if dot:
            properties.append(Property(kind=kind, name=name_, value=value.lower()))
    return Result(
        method=method.lower().partition("/")[0],
        result=result.lower(),
        properties=tuple(properties),
    )


def _pairs(statement: list[Token]) -> list[tuple[str, str]]:
    """``name=value`` each; a value may hold a ``=`` that nothing separates from it (base64)."""
    pairs: list[tuple[str, str]] = []
    at = 0
    while at < len(statement):
        name, equals, value = [*statement[at : at + 3], None, None][:3]
        if name is None or equals is None or value is None:
            raise Malformed("a name without a value")
        if name.kind != "atom" or equals.kind != "=" or value.kind not in _WORDS:
            raise Malformed("no name and value")
        text = value.text
        at += 3
        while at < len(statement) and not statement[at].spaced:
            text += statement[at].text
            at += 1
        pairs.append((name.text, text))
    return pairs
