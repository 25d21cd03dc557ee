"""What was written now, told from history and signature; HTML as people see it."""

from __future__ import annotations

import pytest

from adapters.email.reading.text import Said, from_html, tell_apart, tidy, unflow

NEW = "It does.\n\n    the second line is indented"

HISTORIES = {
    "English": "On Mon, 3 Nov 2025 at 10:00, Ada <ada@example.org> wrote:\n> Does it weave?",
    "English, two lines": "On Mon, 3 Nov 2025 at 10:00,\nAda <ada@example.org> wrote:\n\n> So?",
    "German": "Am 03.11.2025 um 10:00 schrieb Ada <ada@example.org>:\n> Webt sie?",
    "French": "Le 3 nov. 2025 à 10:00, Ada <ada@example.org> a écrit :\n> Tisse-t-elle ?",
    "Spanish": "El 3 nov 2025, Ada <ada@example.org> escribió:\n> ¿Teje?",
    "Italian": "Il giorno 3 nov 2025 alle 10:00 Ada ha scritto:\n> Tesse?",
    "Dutch": "Op 3 nov. 2025 om 10:00 schreef Ada:\n> Weeft ze?",
    "Japanese": "2025年11月3日(月) 10:00 Ada <ada@example.org>:\n> 織りますか",
    "Chinese": "2025年11月3日 10:00，Ada 写道：\n> 它织布吗",
    "Outlook": "-----Original Message-----\nFrom: Ada\nSent: Monday\nTo: Bot\nSubject: it\n\nSo?",
    "Outlook with a rule": "_" * 32 + "\nFrom: Ada\nSent: Monday\nTo: Bot\nSubject: it\n\nDoes it?",
    "Outlook in German": "Von: Ada\nGesendet: Montag\nAn: Bot\nBetreff: sie\n\nWebt sie?",
    "Outlook in bold": "**From:** Ada\n**Sent:** Monday\n**To:** Bot\n**Subject:** it\n\nDoes it?",
    "only marks": "> Does it weave?\n> Really?",
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_history_is_no_part_of_what_is_said(history: str) -> None:
    said, slow = tell_apart(f"{NEW}\n\n{history}")

    assert said == Said(NEW, history)
    assert not slow


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_history_alone_is_what_is_said(history: str) -> None:
    assert tell_apart(history)[0].text == history


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(
            "On 3 Nov 2025, Ada wrote:\n> Does it weave?\n\nIt does.",
            Said("It does.", "On 3 Nov 2025, Ada wrote:\n> Does it weave?"),
            id="answered below",
        ),
        pytest.param(
            "Hi!\n\nOn 3 Nov 2025, Ada wrote:\n> One?\n\nYes.\n\n> Two?\n\nNo.",
            Said("Hi!\n\n\nYes.\n\n\nNo.", "On 3 Nov 2025, Ada wrote:\n> One?\n> Two?"),
            id="answered between",
        ),
        pytest.param(
            "It does.\n\n-- \nAda\nLondon",
            Said("It does.", "", "-- \nAda\nLondon"),
            id="signature",
        ),
        pytest.param(
            "It does.\n\nBest regards,\nAda",
            Said("It does.", "", "Best regards,\nAda"),
            id="closing",
        ),
        pytest.param(
            "Sie webt.\n\nMit freundlichen Grüßen\nAda\n\nAm 3.11.2025 schrieb Bot:\n> Ja?",
            Said("Sie webt.", "Am 3.11.2025 schrieb Bot:\n> Ja?", "Mit freundlichen Grüßen\nAda"),
            id="closing above history",
        ),
        pytest.param(
            "It does.\n\nSent from my iPhone",
            Said("It does.", "", "Sent from my iPhone"),
            id="phone",
        ),
        pytest.param(
            "See this.\n\n---------- Forwarded message ---------\nFrom: Ada\nDate: Monday\n"
            "Subject: it\nTo: Bot\n\nDoes it?",
            Said(
                "See this.\n\n---------- Forwarded message ---------\nFrom: Ada\nDate: Monday\n"
                "Subject: it\nTo: Bot\n\nDoes it?"
            ),
            id="forwarded",
        ),
        pytest.param("", Said(""), id="nothing"),
    ],
)
def test_what_is_said_is_found(written: str, expected: Said) -> None:
    assert tell_apart(written)[0] == expected


@pytest.mark.parametrize(
    "written",
    [
        "On Monday she wrote:\nthe engine weaves",
        "Data: none\nDo: it",
        "Thanks, and please also look at the second one.",
        "First.\nThanks, and please also look at the second one.\nThen the third.",
        "Take care of it.\n/status",
        "- one\n- two\n- three",
        "a\n---\nb",
        "Do these:\nTo: charles\nDone",
        "From: here\nTo: there",
        "1. On 2 pages wrote: x",
        "Best regards to Charles, and ask him about the cards.\n" * 3,
    ],
)
def test_nothing_is_lost_of_what_only_looks_like_it(written: str) -> None:
    assert tell_apart(tidy(written))[0] == Said(tidy(written))


def test_a_forwarded_mail_is_the_matter_itself() -> None:
    written = "From: Ada\nSent: Monday\nTo: Bot\nSubject: it\n\nDoes it weave?"

    assert tell_apart(f"Sum up.\n\n{written}")[0].text == "Sum up."
    assert tell_apart(f"Sum up.\n\n{written}", forwarded=True)[0].text == f"Sum up.\n\n{written}"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ('<a href="https://example.org/a_b">here</a>', "[here](https://example.org/a_b)"),
        ("<style>p {}</style><script>x()</script><title>t</title><p>one</p>", "one"),
        ('<div style="display:none">no</div>yes', "yes"),
        ('<div style="DISPLAY : NONE !important">no <b>no</b><div>no</div></div>yes', "yes"),
        ('<span style="font-size:0px">no</span>yes', "yes"),
        ('<span style="font-size:0.9em">yes</span>', "yes"),
        ('<p style="visibility: hidden">no<p>yes', "yes"),
        ('<p hidden>no</p><p style="mso-hide:all">no</p>yes', "yes"),
        ('<td style="max-height:0;overflow:hidden">no</td>yes', "yes"),
        ('<span style="opacity:0">no</span><span style="opacity:0.8">yes</span>', "yes"),
        ('<input type="hidden" value="no">yes<br>too', "yes too"),
        ('<img src="https://track.example/x.gif" alt="logo">yes', "yes"),
        ("<blockquote>old</blockquote>", "> old"),
        (
            "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>",
            "| a | b |\n| --- | --- |\n| 1 | 2 |",
        ),
        ("<table><tr><td>one</td></tr><tr><td>two</td></tr></table>", "one\n\ntwo"),
        (
            "<table><tr><td><p>one</p><table><tr><td>two</td></tr></table></td></tr></table>",
            "one\n\ntwo",
        ),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n  - two"),
        ("a&nbsp;&amp;&#228;", "a &ä"),
        ("<p>unclosed <b>bold", "unclosed **bold**"),
        ("", ""),
    ],
)
def test_html_is_what_people_see(source: str, text: str) -> None:
    seen, slow = from_html(source)

    assert seen.split() == text.split()
    assert not slow


def test_html_history_is_found() -> None:
    text, _ = from_html(
        '<div dir="ltr">It does.</div><div class="gmail_quote"><div>On Mon, 3 Nov 2025 at 10:00, '
        'Ada &lt;<a href="mailto:ada@example.org">ada@example.org</a>&gt; wrote:<br></div>'
        "<blockquote>Does it weave?</blockquote></div>"
    )

    said, _ = tell_apart(text)

    assert said.text == "It does."
    assert "Does it weave?" in said.quoted


@pytest.mark.parametrize(
    ("written", "joined"),
    [
        ("one \ntwo\nthree", "one two\nthree"),
        ("> one \n> two\nthree", "> one two\nthree"),
        ("> one \ntwo", "> one \ntwo"),
        ("one\n-- \nAda", "one\n-- \nAda"),
        (" From here", "From here"),
        (">> deep \n>> down", ">> deep down"),
    ],
)
def test_flowed_lines_are_joined(written: str, joined: str) -> None:
    assert unflow(written, delete_space=False) == joined


def test_flowed_lines_of_other_scripts_are_joined_without_blanks() -> None:
    assert unflow("織り \nます", delete_space=True) == "織ります"
