"""The judge of every fault test: reads what people saw, what engines were asked and what the store
counted, and says where the claim of the project does not hold.

Pure. Every message carries a token of its own; the fake engine echoes it, so that a token stands
in the prompt that asked and in the answer that was shown.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

TOKEN = re.compile(r"tk[0-9a-f]{16}")


def token() -> str:
    return f"tk{secrets.token_hex(8)}"


def tokens(text: str) -> list[str]:
    """The tokens of a text, in order, each once."""
    return list(dict.fromkeys(TOKEN.findall(text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message somebody wrote."""

    conversation: str
    token: str
    confirmed: bool = True
    """The gateway said "got it": a 202, or an update confirmed by a higher offset."""
    refused: bool = False
    """It said that it refuses; a visible refusal is as good as an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message of ours as it stands on the platform in the end."""

    conversation: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A dead letter that an operator can see."""

    kind: str
    """``message``, ``part`` or ``uncertain``."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that happened, as seen from outside. Sequences are in order of time."""

    sent: Sequence[Sent]
    shown: Sequence[Shown]
    prompts: Sequence[str] = ()
    """Everything that was asked of an engine in one request, as one text each."""
    listed: Sequence[Listed] = ()
    ledger: Mapping[str, int] = field(default_factory=dict)
    """The gateway's own counters, with ``difference``; empty when it is not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    lost: Sequence[str] = ()
    """Confirmed, and neither visible nor listed."""
    doubled: Sequence[str] = ()
    """Visible in more than one message."""
    swapped: Sequence[str] = ()
    """Conversations whose answers are not in the order of their questions."""
    leaked: Sequence[str] = ()
    """Tokens that were shown in, or asked together with, a conversation that is not theirs."""
    stray: Sequence[Shown] = ()
    """What answers nothing: half an answer that was left standing."""
    uncertain: Sequence[str] = ()
    """Listed as perhaps sent."""
    quarantined: Sequence[str] = ()
    miscounted: Sequence[str] = ()
    """What the ledger says that the world outside does not."""

    @property
    def wrong(self) -> dict[str, Sequence[object]]:
        """What breaks the claim; empty when it holds."""
        names = ("lost", "doubled", "swapped", "leaked", "stray", "miscounted")
        return {name: found for name in names if (found := getattr(self, name))}


def judge(history: History, *, notices: Sequence[str] = ()) -> Verdict:
    """`notices` are texts that may stand without answering anything (failures, refusals)."""
    home = {sent.token: sent.conversation for sent in history.sent}
    halves = _halves(history.shown)
    answers = [shown for at, shown in enumerate(history.shown) if at not in halves]
    visible: Counter[str] = Counter()
    for shown in answers:
        visible.update(tokens(shown.text))
    uncertain = _listed(history.listed, {"uncertain"})
    quarantined = _listed(history.listed, {"message", "part"})
    known = set(visible) | uncertain | quarantined
    return Verdict(
        lost=[
            sent.token
            for sent in history.sent
            if sent.confirmed and not sent.refused and sent.token not in known
        ],
        doubled=[token for token, times in visible.items() if times > 1],
        swapped=_swapped(history.sent, answers),
        leaked=[*_leaked(history.shown, home), *_mixed(history.prompts, home)],
        stray=[
            shown
            for at, shown in enumerate(history.shown)
            if at in halves
            or (not tokens(shown.text) and not shown.text.startswith(tuple(notices)))
        ],
        uncertain=sorted(uncertain),
        quarantined=sorted(quarantined),
        miscounted=_miscounted(history) if history.ledger else (),
    )


def _listed(letters: Iterable[Listed], kinds: set[str]) -> set[str]:
    return {token for one in letters if one.kind in kinds for token in tokens(one.text)}


def _halves(shown: Sequence[Shown]) -> set[int]:
    """Which messages are the beginning, and only that, of a later one in their conversation."""
    found, longer = set(), defaultdict(list)
    for at in reversed(range(len(shown))):
        text, later = shown[at].text, longer[shown[at].conversation]
        if any(one.startswith(text) and one != text for one in later):
            found.add(at)
        later.append(text)
    return found


def _swapped(sent: Iterable[Sent], shown: Iterable[Shown]) -> list[str]:
    asked, answered = defaultdict(list), defaultdict(list)
    for message in sent:
        asked[message.conversation].append(message.token)
    for reply in shown:
        answered[reply.conversation] += tokens(reply.text)
    wrong = []
    for conversation, order in answered.items():
        place = {token: at for at, token in enumerate(asked[conversation])}
        places = [place[token] for token in dict.fromkeys(order) if token in place]
        if places != sorted(places):
            wrong.append(conversation)
    return wrong


def _leaked(shown: Iterable[Shown], home: Mapping[str, str]) -> list[str]:
    return [
        token
        for one in shown
        for token in tokens(one.text)
        if home.get(token, one.conversation) != one.conversation
    ]


def _mixed(prompts: Iterable[str], home: Mapping[str, str]) -> list[str]:
    wrong = []
    for prompt in prompts:
        found = [token for token in tokens(prompt) if token in home]
        wrong += [token for token in found[1:] if home[token] != home[found[0]]]
    return wrong


def _miscounted(history: History) -> list[str]:
    ledger, problems = history.ledger, []
    uncertain = sum(one.kind == "uncertain" for one in history.listed)
    if ledger["difference"]:
        problems.append(f"difference {ledger['difference']}")
    if ledger["waiting"]:
        problems.append(f"{ledger['waiting']} still wait")
    confirmed = sum(sent.confirmed for sent in history.sent)
    if not confirmed <= ledger["accepted"] <= len(history.sent):
        problems.append(
            f"accepted {ledger['accepted']}, confirmed {confirmed} of {len(history.sent)}"
        )
    if ledger["uncertain"] != uncertain:
        problems.append(f"{uncertain} listed as uncertain, {ledger['uncertain']} counted")
    return problems
