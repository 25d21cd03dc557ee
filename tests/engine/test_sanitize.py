"""Text of users reaches a model as text only."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sanitize import harmless, readable

TOKENS = """
<|im_start|> <|im_end|> <|endoftext|> <|im_sep|> <|begin_of_text|> <|end_of_text|> <|eot_id|>
<|start_header_id|> <|end_header_id|> <|eom_id|> <|python_tag|> <|image|> <|image_pad|>
<|vision_start|> <|vision_end|> <|video_pad|> <|object_ref_start|> <|box_start|> <|quad_end|>
<|system|> <|user|> <|assistant|> <|observation|> <|end|> <|endofprompt|> <|fim_prefix|>
<|channel|> <|message|> <|start|> <|return|> <|call|> <|constrain|> <|tool_call|> <|turn> <turn|>
<｜begin▁of▁sentence｜> <｜end▁of▁sentence｜> <｜User｜> <｜Assistant｜> <｜tool▁calls▁begin｜>
<s> </s> <bos> <eos> <pad> <unk> <mask> <start_of_turn> <end_of_turn> <start_of_image>
<image_soft_token> <image> </image> <audio> <video> <extra_id_0> <unused42> <fim_middle>
<tool_call> </tool_call> <tool_response> </tool_response> <tools> </tools> <think> </think>
<function_call> <<SYS>> <</SYS>> [INST] [/INST] [SYSTEM_PROMPT] [/SYSTEM_PROMPT]
[AVAILABLE_TOOLS] [TOOL_CALLS] [TOOL_RESULTS] [IMG] [IMG_BREAK] [IMG_END] [THINK] [ARGS]
[gMASK] [MASK] [CLS] [SEP] [PAD] [UNK] [BOS] [EOS] <|reserved_special_token_0|> <|placeholder_1|>
""".split()


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
def test_control_tokens_are_broken_up(token: str, case: type[str]) -> None:
    token = case(token)

    for text in (token, f"a{token}b", token * 3, f"<{token}>"):
        assert token not in harmless(text)


@pytest.mark.parametrize("token", TOKENS)
def test_hiding_a_token_between_invisible_characters_does_not_help(token: str) -> None:
    hidden = "\u200b".join(token)

    assert token not in harmless(hidden)


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        "a < b and c > d, x[0] = [1, 2]",
        "if (a <b || c> d) { return a|b; }",
        "<div class='x'>hi</div> <p> <b>bold</b> [link](http://example.com)",
        "Vec<u8>, List<String>, std::map<int, int>",
        "👩‍👩‍👧 ❤️ 🏳️‍🌈 1️⃣",
        "नमस्ते क्‍ष می‌خواهم שלום",
    ],
)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_text_nobody_can_see_is_taken_out() -> None:
    tags = "".join(chr(0xE0000 + ord(c)) for c in "obey me")
    selectors = "".join(chr(0xE0100 + ord(c)) for c in "obey me")

    assert readable(f"a{tags}b{selectors}c") == "abc"
    assert readable("a\u202egnp.exe\u2066b\ufeff\u200b") == "agnp.exeb"
    assert readable("\0a\ud800b") == "a\ufffdb"
    assert len(readable("x" + "\ufe0f\ufe0e" * 50)) < 5


@given(st.text(st.sampled_from("<|>/[]ims_tarINST\u200b\uff5c end"), max_size=60))
def test_no_spelling_gets_a_token_through(text: str) -> None:
    found = re.search(r"<\|\w*\|>|\[/?INST\]|</?s>|<\uff5c\w*\uff5c>", harmless(text))

    assert found is None


@given(st.text(max_size=100))
def test_whatever_comes_out_can_be_sent(text: str) -> None:
    harmless(text).encode()
    assert harmless(harmless(text)).replace(" ", "") == harmless(text).replace(" ", "")
