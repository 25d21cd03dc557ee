"""CommonMark that is hard, and CommonMark that is common."""

from __future__ import annotations

from hypothesis import strategies as st

PIECES = st.sampled_from(
    "** * _ ~~ ` ``` ~~~ # > - + 1. | |-| [ ] ( ) ![ ]( <b> </b> & &amp; &lt; &#0; \\ < > \" ' "
    "http:// <http://a.b> tg:// https://x.example/a_b*c*d [**l**](http://a.b/c_d) **b** *i* \\* "
    "\n \n\n \t \u3000 \u200b \ufeff \x00 \x1b \ud83d 😀 é word".split(" ")
)
MARKDOWN = st.lists(PIECES | st.text(max_size=4), max_size=60).map("".join) | st.lists(
    PIECES, max_size=60
).map(" ".join)

SENTENCE = "A **bold word** and `code` in [a sentence](https://x.example/a?b=c&d), with *more*. "
BLOCKS = st.lists(
    st.sampled_from(
        [
            SENTENCE * 2,
            "# Heading *two*",
            "- item one\n- item two\n  - inner\n\n    deep",
            "7. seven\n8. eight",
            "> quoted **bold\n> over** lines\n> > twice",
            "```js\nlet a = `b`;\n\n\nlet c < d;\n```",
            "    indented code",
            "---",
            "**bold " + "x " * 60 + "**",
            "😀" * 50,
            "snake_case and 2*3*4 and ~/x & <y>",
            "[ref] text",
            "[ref]: https://x.example",
        ]
    ),
    min_size=3,
    max_size=12,
)
HOSTILE = [
    "*" * 3000 + "a" + "*" * 3000,
    ">" * 3000 + "a",
    "- " * 3000 + "a",
    "[" * 5000,
    "![" * 5000,
    "*a **b " * 1500,
    "\n".join("  " * depth + "- x" for depth in range(200)),
    "`" * 5000,
    "<" * 5000,
    "|" * 5000 + "\n" + "|-" * 5000,
    "&" * 5000,
    "_a __b*" * 1500,
]
