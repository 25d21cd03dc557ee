from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sessions.text import neutralise

CORPORA = Path(__file__).parents[4] / "shared" / "corpora"

TOKENS = """
<|im_start|> <|im_end|> <|im_sep|> <|endoftext|> <|endofprompt|> <|fim_prefix|> <|fim_middle|>
<|fim_suffix|> <|begin_of_text|> <|end_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|>
<|eom_id|> <|python_tag|> <|header_start|> <|eot|> <|image_start|> <|patch|> <|user|> <|assistant|>
<|system|> <|end|> <|channel|> <|message|> <|start|> <|return|> <|call|> <|constrain|>
<|vision_start|> <|vision_end|> <|image_pad|> <|video_pad|> <|audio_bos|> <|AUDIO|> <|box_start|>
<|START_OF_TURN_TOKEN|> <|END_OF_TURN_TOKEN|> <|USER_TOKEN|> <|CHATBOT_TOKEN|> <|SYSTEM_TOKEN|>
<|start_of_role|> <|end_of_role|> <|tool_call|> <|media_start|> <|turn> <turn|> <|tool>
<｜begin▁of▁sentence｜> <｜end▁of▁sentence｜> <｜User｜> <｜Assistant｜> <｜tool▁calls▁begin｜>
[INST] [/INST] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_CALLS]
[TOOL_RESULTS] [/TOOL_RESULTS] [TOOL_CONTENT] [IMG] [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE]
[SUFFIX] [AUDIO] [BEGIN_AUDIO] [THINK] [/THINK] [ARGS] [CALL_ID] [control_8] [gMASK] [sMASK]
<<SYS>> <</SYS>> <s> </s> <unk> <pad> <bos> <eos> <mask> <sop> <eop> <BOS_TOKEN> <EOS_TOKEN>
<PAD_TOKEN> <start_of_turn> <end_of_turn> <start_of_image> <end_of_image> <image_soft_token>
<audio_soft_token> <image> </image> <video> <audio> <img> </img> <IMG_CONTEXT> <image_placeholder>
<image_pad> <unused0> <unused99> <extra_id_0> <reserved_106> <reserved_107> <SPECIAL_12> <think>
</think> <tool_call> </tool_call> <tool_response> </tool_response> <tool_calls> <tools> </tools>
<function_call> <ref> </ref> <box> </box> <seed:bos> <seed:think> <minimax:tool_call>
<fim_prefix> <fim_suffix> ]~b] ]~!b[ [e~[ ]<]minimax[>[
""".split()

HIDDEN = "\u200b\u2060\ufeff\u00ad\u202e\u2066\u200e\U000e0041\U000e007f\u200d\u200c"


@pytest.mark.parametrize("token", TOKENS)
def test_no_control_token_of_any_model_family_gets_through(token: str) -> None:
    for written in (token, token.upper(), f"a{token}b", f"<{token}>", f"[{token}]", token * 3):
        assert token.lower() not in neutralise(written).lower()


@pytest.mark.parametrize("token", TOKENS)
def test_invisible_characters_do_not_hide_a_token(token: str) -> None:
    for hidden in HIDDEN:
        assert token.lower() not in neutralise(hidden.join(token)).lower()


@given(
    st.lists(st.one_of(st.sampled_from([*TOKENS, *HIDDEN, *"<>|[]/｜"]), st.text()), max_size=20)
)
def test_whatever_is_put_together_opens_nothing_and_stays_the_same(pieces: list[str]) -> None:
    safe = neutralise("".join(pieces))
    assert neutralise(safe) == safe
    assert not [token for token in TOKENS if token.lower() in safe.lower()]


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_comes_out_fit_to_be_sent(text: str) -> None:
    safe = neutralise(text)
    safe.encode()
    assert neutralise(safe) == safe
    assert not re.search("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f\x00]", safe)


@pytest.mark.parametrize(
    "text",
    [
        "a < b and b > c",
        "if x[0] < y[i]: return <T>",
        "<div class='s'><p>hello</p></div>",
        "[link](https://example.org) [x] [1]",
        "x |> f |> g",
        "👩‍👩‍👧 ❤️ 🏳️‍🌈",
        "می‌خواهم",
        "क्‍ष",
        "straße, naïve, 日本語\n\tindented",
        "",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert neutralise(text) == text


def test_naughty_strings_pass_without_an_exception() -> None:
    for text in json.loads((CORPORA / "unicode" / "blns.json").read_text()):
        safe = neutralise(text)
        assert neutralise(safe) == safe
