"""Nothing the model writes can call anybody or break a message, and what it meant is seen."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.capabilities import SECTION_LIMIT, TEXT_LIMIT
from adapters.slack.outgoing import sending
from adapters.slack.render import rendered, split
from gateway.message import Button
from tests.adapters.slack.scene import part
from tests.fakes.slack import visible

SHY = "\N{SOFT HYPHEN}"


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("plain", "plain"),
        ("**b** *i* ~~s~~ `c`", "*b* _i_ ~s~ `c`"),
        ("***both***", "_*both*_"),
        ("**b `c` b**", "*b* `c` *b*"),
        ("un**bold**ed", "unbolded"),
        ("(**bold**)", "(bold)"),
        ("**bold**, then", "*bold*, then"),
        ("# Title\ntext", "*Title*\n\ntext"),
        ("## Title `c`", "*Title* `c`"),
        ("one\ntwo  \nthree", "one\ntwo\nthree"),
        ("**a\nb**", "*a*\n*b*"),
        ("- a\n- b\n  1. c\n  2. d", "• a\n• b\n  1. c\n  2. d"),
        ("3. three\n4. four", "3. three\n4. four"),
        ("> quote\n> more\n\nafter", "> quote\n> more\n\nafter"),
        ("```py\na < b\n```", "```\na &lt; b\n```"),
        ("```\n```x\n```", f"```\n`{SHY}`{SHY}`x\n```"),
        ("`` a`b ``", "a`b"),
        ("`a < b`", "`a &lt; b`"),
        ("`*not bold*`", "`*not bold*`"),
        ("---", "———"),
        ("[a](https://x.example/?q=1&r=2)", "<https://x.example/?q=1&amp;r=2|a>"),
        ("[**a** `b`](https://x.example)", "<https://x.example|a b>"),
        ("[a > b](https://x.example)", "<https://x.example|a &gt; b>"),
        ("<https://x.example>", "<https://x.example>"),
        ("see https://x.example/a_b_c.", "see <https://x.example/a_b_c>."),
        ("![alt](https://x.example/i.png)", "<https://x.example/i.png|alt>"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("[you](slack://user?team=T1)", "you (slack://user?team=T1)"),
        ("a < b && c > d", "a &lt; b &amp;&amp; c &gt; d"),
        ("&lt;!here&gt;", "&lt;!here&gt;"),
        ("snake_case_name and 2 * 3 * 4", "snake_case_name and 2 * 3 * 4"),
        (r"\*args and \_x\_", f"*{SHY}args and _{SHY}x{SHY}_"),
        (r"**a\* b**", f"*a{SHY}* b*"),
        (r"\~home\~ \`tick\`", f"~{SHY}home{SHY}~ `{SHY}tick{SHY}`"),
        (r"\> no quote", f"{SHY}&gt; no quote"),
        ("@here and @channel, a@here.example", f"@{SHY}here and @{SHY}channel, a@here.example"),
        ("| a | b |\n|---|---|\n| 1 | **22** |", "```\na | b\n--+---\n1 | 22\n```"),
        ("", ""),
    ],
)
def test_markdown_reads_as_meant(markdown: str, mrkdwn: str) -> None:
    assert rendered(markdown).markup == mrkdwn


CALLS = [
    "<!channel>",
    "<!here>",
    "<!everyone>",
    "<!here|here>",
    "<!subteam^S012AB3CD>",
    "<!subteam^S012AB3CD|@ops>",
    "<@U7>",
    "<@U7|ada>",
    "<@W7>",
    "<#C5|general>",
    "<!date^1392734382^{date}|x>",
    "<\u200b!channel>",
    "<!\u200bchannel>",
    "@channel",
    "@here",
    "@everyone",
    "@group",
]
FORMS = [
    "{}",
    "`{}`",
    "**{}**",
    "# {}",
    "> {}",
    "- {}",
    "```\n{}\n```",
    "```{}\nx\n```",
    "[{}](https://x.example)",
    "[x](https://x.example/{})",
    "![{}](https://x.example)",
    "[x]({})",
    "|a|b|\n|-|-|\n|{}|y|",
    "<{}>",
    "\\{}",
    "&lt;{}",
]


def calls(mrkdwn: str) -> list[str]:
    """Whatever Slack would take for more than text: all references but links to the web."""
    found = re.findall(r"<([^>]*)>", mrkdwn)
    return [each for each in found if not each.startswith(("https://", "http://"))] + re.findall(
        r"(?<!\w)@(?:here|channel|everyone|group)\b(?!`)", re.sub(r"```.*?```|`[^`]*`|<[^>]*>", "",
        mrkdwn, flags=re.DOTALL)
    )  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("call", CALLS)
def test_nobody_is_called(call: str, form: str) -> None:
    for text in (form.replace("{}", call), f"a {form.replace('{}', call)} b"):
        said = sending(part(text, buttons=((Button(label=call, data="x"),),))).data
        assert calls(said["text"]) == []
        assert calls(said["blocks"][0]["text"]["text"]) == []
        assert said["blocks"][1]["elements"][0]["text"]["type"] == "plain_text"


marks = st.text(alphabet=st.sampled_from("<>!@#|&*_~`\\[]()- \n>ahereU7chl/:.https"), max_size=80)


@given(st.one_of(marks, st.text(max_size=80)))
def test_nobody_is_called_by_anything(text: str) -> None:
    assert calls(rendered(text).markup) == []


@given(st.one_of(marks, st.text(max_size=200)))
def test_no_word_is_lost(text: str) -> None:
    found = rendered(text)
    words = set(re.findall(r"\w{4,}", found.text))
    assert words <= set(re.findall(r"\w{4,}", visible(found.markup)))


def test_naughty_strings_are_sent_as_they_are(naughty_strings: list[str]) -> None:
    for text in naughty_strings:
        assert calls(rendered(text).markup) == []


@pytest.mark.parametrize(
    "text",
    [
        "word " * 3000,
        "& < > " * 2000,
        "```py\n" + "if a < b and c > d: pass\n" * 500 + "```\nend",
        "> " + "quoted & quoted " * 800,
        "**" + "bold text " * 900 + "**",
        "- item & more\n" * 1500,
        "😀" * 9000,
        "*" * 9000,
        "x" * 20_000,
    ],
    ids=["words", "escaped", "code", "quote", "bold", "list", "emoji", "marks", "one word"],
)
@pytest.mark.parametrize("buttons", [False, True])
def test_a_long_text_is_cut_to_what_slack_takes_as_it_is_written(text: str, buttons: bool) -> None:
    rows = ((Button(label="Yes", data="y"),),) if buttons else ()
    parts = split(part(text, buttons=rows, reply_to="1.5"))

    limit = SECTION_LIMIT if buttons else TEXT_LIMIT
    assert all(len(sending(each).data["text"]) <= limit for each in parts)
    assert [bool(each.buttons) for each in parts] == [False] * (len(parts) - 1) + [buttons]
    whole = re.sub(r"\W", "", rendered(text).text)
    assert re.sub(r"\W", "", "".join(rendered(each.text).text for each in parts)) == whole
