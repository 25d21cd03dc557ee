"""A Whisper of random weights in CTranslate2's format, a few MB, made without torch.

It goes the whole way of a real one (features, encoder, beam search, time stamps, languages), but
what it "hears" is noise.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import WhisperSpec
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

TIMES = 1501

LANGUAGES = "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms".split()

WORDS = 600


def build(
    folder: Path,
    *,
    width: int = 64,
    layers: int = 2,
    multilingual: bool = False,
    quantization: str = "int8",
) -> Path:
    """The folder, as ``ct2-transformers-converter`` would have written it."""
    heads = max(2, width // 64)
    tokens, special, tokenizer = _vocabulary(multilingual)
    spec = WhisperSpec(layers, heads, layers, heads)
    weights = _Weights(width)
    weights.encoder(spec.encoder)
    weights.decoder(spec.decoder, len(tokens), special["<|endoftext|>"])
    spec.register_vocabulary(tokens)
    first = special["<|startoftranscript|>"] + 1
    spec.config.suppress_ids = sorted(
        identity for token, identity in special.items() if token != "<|endoftext|>"
    )
    spec.config.suppress_ids_begin = [special["<|endoftext|>"]]
    spec.config.lang_ids = list(range(first, first + len(LANGUAGES)))
    spec.config.alignment_heads = [[layers - 1, head] for head in range(heads)]
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    features = {"feature_size": 80, "sampling_rate": 16_000, "hop_length": 160}
    features |= {"chunk_length": 30, "n_fft": 400}
    (folder / "preprocessor_config.json").write_text(json.dumps(features))
    return folder


def _vocabulary(multilingual: bool) -> tuple[list[str], dict[str, int], Tokenizer]:
    """All tokens by id, the special ones, and the tokenizer (which lacks the time stamps)."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|startoftranscript|>"]
    special += [f"<|{language}|>" for language in LANGUAGES]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    special += ["<|nocaptions|>", "<|notimestamps|>"]
    times = [f"<|{0.02 * number:.2f}|>" for number in range(TIMES)]
    plain = letters + [f"Ġw{number}" for number in range(WORDS)]
    if multilingual:
        plain.append(
            ""
        )  # CTranslate2 takes a vocabulary with an empty token for one of many tongues
    tokenizer = Tokenizer(
        models.BPE(vocab={token: at for at, token in enumerate(plain)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    ids = {token: len(plain) + at for at, token in enumerate(special)}
    return plain + special + times, ids, tokenizer


class _Weights:
    """Random, always the same; scaled so that the search ends by itself."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._random = np.random.default_rng(7)

    def encoder(self, spec: Any) -> None:
        width = self.width
        spec.conv1.weight, spec.conv1.bias = self._normal(width, 80, 3), self._normal(width)
        spec.conv2.weight, spec.conv2.bias = self._normal(width, width, 3), self._normal(width)
        spec.position_encodings.encodings = self._normal(1500, width)
        self._norm(spec.layer_norm)
        for layer in spec.layer:
            self._attention(layer.self_attention, (3, 1))
            self._feed_forward(layer.ffn)

    def decoder(self, spec: Any, words: int, end: int) -> None:
        width = self.width
        spec.embeddings.weight = self._normal(words, width, scale=1.0)
        spec.position_encodings.encodings = self._normal(448, width, scale=1.0)
        self._norm(spec.layer_norm)
        spec.projection.weight = self._normal(words, width, scale=1.0)
        bias = np.zeros(words, np.float32)
        bias[end] = 2.7 * np.sqrt(width)
        bias[-TIMES:] = -2.0 * np.sqrt(width)  # only where they are forced
        spec.projection.bias = bias
        for layer in spec.layer:
            self._attention(layer.self_attention, (3, 1))
            self._attention(layer.attention, (1, 2, 1))
            self._feed_forward(layer.ffn)

    def _attention(self, spec: Any, widths: tuple[int, ...]) -> None:
        self._norm(spec.layer_norm)
        for linear, times in zip(spec.linear, widths, strict=True):
            self._linear(linear, times * self.width, self.width)

    def _feed_forward(self, spec: Any) -> None:
        self._norm(spec.layer_norm)
        self._linear(spec.linear_0, 4 * self.width, self.width)
        self._linear(spec.linear_1, self.width, 4 * self.width)

    def _linear(self, spec: Any, out: int, into: int) -> None:
        spec.weight, spec.bias = self._normal(out, into), self._normal(out)

    def _norm(self, spec: Any) -> None:
        spec.gamma, spec.beta = np.ones(self.width, np.float32), np.zeros(self.width, np.float32)

    def _normal(self, *shape: int, scale: float = 0.1) -> Any:
        return self._random.normal(0.0, scale, shape).astype(np.float32)
