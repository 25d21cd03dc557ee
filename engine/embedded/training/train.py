"""Train the built-in model: tokenizer, weights, then an ordinary Hugging Face folder.

    python -m engine.embedded.training.train OUT --minutes 40 [--resume OUT/last.pt]

One thread is fastest on a shared machine. Needs torch, tokenizers and safetensors.
"""

# mypy: ignore-errors
# torch and safetensors are needed here only, so the checker does not have them.

import argparse
import itertools
import json
import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional

from engine.embedded.prompt import CONTROL_TOKENS, END, START, render
from engine.embedded.training.generate import FALLBACKS, Writer

TEMPLATE = Path(__file__).parent / "chat_template.jinja"
CONTEXT = 1024
LONGEST = 640  # tokens of a training chat; longer ones are left out
SHAPE = {"width": 128, "layers": 6, "heads": 4, "inner": 384, "vocabulary": 1536}


# --- tokenizer -----------------------------------------------------------------------------------


def make_tokenizer(writer: Writer, size: int) -> Tokenizer:
    """Byte-level BPE with single digits: any input has an encoding, and none is unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()

    def texts() -> Iterator[str]:
        for _ in range(12_000):
            messages, tools = writer.chat_messages()
            yield render(messages, tools).replace("<|im_start|>", "").replace("<|im_end|>", "")

    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    # The tags of tools stay readable in the output: servers look for them in the text.
    tokenizer.add_tokens(
        [AddedToken(t, special=False, normalized=False) for t in CONTROL_TOKENS[3:]]
    )
    return tokenizer


# --- model: the Llama layout, as small as it gets ------------------------------------------------


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(batch, length, self.heads, -1).transpose(1, 2)

        def turned(y: Tensor) -> Tensor:
            first, second = y.chunk(2, -1)
            return y * cos + torch.cat((-second, first), -1) * sin

        q, k = turned(heads(self.q_proj(x))), turned(heads(self.k_proj(x)))
        mixed = functional.scaled_dot_product_attention(q, k, heads(self.v_proj(x)), is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, width))


class Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.input_layernorm = Norm(width)
        self.self_attn = Attention(width, heads)
        self.post_attention_layernorm = Norm(width)
        self.mlp = Mlp(width, inner)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    """Parameter names are those of a Hugging Face Llama, less the leading "model."."""

    def __init__(self, *, width: int, layers: int, heads: int, inner: int, vocabulary: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(Layer(width, heads, inner) for _ in range(layers))
        self.norm = Norm(width)
        size = width // heads
        turns = 10000.0 ** -(torch.arange(0, size, 2) / size)
        angles = torch.outer(torch.arange(CONTEXT), torch.cat((turns, turns)))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                scale = 0.02 if "embed" in name else width**-0.5 / 2
                if "o_proj" in name or "down_proj" in name:
                    scale /= math.sqrt(2 * layers)
                nn.init.normal_(parameter, std=scale)

    def forward(self, ids: Tensor, wanted: Tensor) -> Tensor:
        """Logits for the wanted positions only: prompts are read, not learned."""
        x = self.embed_tokens(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)[wanted] @ self.embed_tokens.weight.T


# --- batches -------------------------------------------------------------------------------------


def encode(
    tokenizer: Tokenizer, messages: list[dict[str, Any]], tools: list[dict[str, Any]]
) -> tuple[list[int], list[bool]]:
    """Token ids of a chat, and which of them the model itself has to say."""
    ids: list[int] = []
    learned: list[bool] = []
    whole = render(messages, tools).removesuffix(f"{START}assistant\n")
    answer = False
    for piece in whole.split(f"{START}assistant\n"):
        said, end, rest = piece.partition(END) if answer else ("", "", piece)
        for text, learn in ((said + end, True), (rest, False)):
            tokens = tokenizer.encode(text, add_special_tokens=False).ids
            ids += tokens
            learned += [learn] * len(tokens)
        lead = tokenizer.encode(f"{START}assistant\n", add_special_tokens=False).ids
        ids += lead
        learned += [False] * len(lead)
        answer = True
    return ids[: -len(lead)], learned[: -len(lead)]


Batch = tuple[Tensor, Tensor, Tensor]


def drill(writer: Writer, tokens: int) -> Batch:
    """Random tokens said again and again: copying names and read text grows from this sooner."""
    period = writer.rng.choice((3, 4, 5, 6, 8, 10, 12, 16, 24))
    times = max(2, 64 // period)
    said = torch.randint(len(CONTROL_TOKENS), SHAPE["vocabulary"], (tokens // 96, period))
    ids = said.repeat(1, times)
    mask = torch.ones_like(ids, dtype=torch.bool)
    mask[:, : period + 1] = False
    return ids[:, :-1], mask[:, 1:], ids[:, 1:]


def cut(ids: list[int], learned: list[bool], last: str, writer: Writer) -> None:
    """Leave off most of a long last answer, now and then not: its start is what is decided."""
    if last not in writer.fixed or writer.rng.random() < (0.2 if last in FALLBACKS else 0.6):
        return
    start = len(learned) - learned[::-1].index(True)
    while start and learned[start - 1]:
        start -= 1
    del ids[start + 10 :], learned[start + 10 :]


def batches(tokenizer: Tokenizer, writer: Writer, tokens: int) -> Iterator[Batch]:
    """Endless padded batches of about `tokens` tokens, of chats of similar length."""
    while True:
        chats = []
        while len(chats) < 1500:
            messages, tools = writer.chat_messages()
            ids, learned = encode(tokenizer, messages, tools)
            cut(ids, learned, messages[-1]["content"], writer)
            if len(ids) <= LONGEST:
                chats.append((ids, learned))
        chats.sort(key=lambda chat: len(chat[0]))
        groups: list[list[tuple[list[int], list[bool]]]] = [[]]
        for chat in chats:
            if (len(groups[-1]) + 1) * len(chat[0]) > tokens:
                groups.append([])
            groups[-1].append(chat)
        writer.rng.shuffle(groups)
        for group in groups:
            longest = max(len(ids) for ids, _ in group)
            ids = torch.zeros(len(group), longest, dtype=torch.long)
            mask = torch.zeros(len(group), longest, dtype=torch.bool)
            for row, (said, learned) in enumerate(group):
                ids[row, : len(said)] = torch.tensor(said)
                mask[row, : len(said)] = torch.tensor(learned)
            yield ids[:, :-1], mask[:, 1:], ids[:, 1:]


# --- training ------------------------------------------------------------------------------------


def train(options: argparse.Namespace) -> None:
    out, resume = options.out, options.resume
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    out.mkdir(parents=True, exist_ok=True)
    writer = Writer(options.seed, options.words if options.words.exists() else None)
    if resume is None:
        tokenizer = make_tokenizer(writer, SHAPE["vocabulary"])
        tokenizer.save(str(out / "tokenizer.json"))
    else:
        tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    model = Llama(**SHAPE)
    if resume is not None:
        model.load_state_dict(torch.load(resume))
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=0.02, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(others, lr=0.004, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    starts = [optimizer.param_groups[0]["lr"] * options.rate for optimizer in optimizers]
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    began = time.monotonic()
    loss_sum = right = seen = copied = 0.0
    total = 0
    chats = batches(tokenizer, writer, 4096)
    for step in itertools.count():
        done = (time.monotonic() - began) / (options.minutes * 60)
        if done >= 1:
            break
        drilled = step % 5 == 0 and done < options.drills
        ids, mask, wanted = drill(writer, 4096) if drilled else next(chats)
        rate = min(1.0, (step + 1) / 60) * min(1.0, max(0.01, (1 - done) / (1 - options.hold)))
        for optimizer, start in zip(optimizers, starts, strict=True):
            optimizer.param_groups[0]["lr"] = start * rate
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(ids, mask)
        goal = wanted[mask]
        loss = functional.cross_entropy(logits.float(), goal)
        loss.backward()
        nn.utils.clip_grad_norm_(others, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        total += ids.numel()
        hits = (logits.argmax(-1) == goal).float().mean().item()
        if drilled:
            copied += 0.2 * (hits - copied)
        else:
            loss_sum += loss.item()
            right += hits
            seen += 1
        if step % 50 == 49:
            print(
                f"{done:5.2f} step {step + 1} tokens {total} loss {loss_sum / seen:.4f} "
                f"right {right / seen:.4f} copied {copied:.3f} "
                f"{total / (time.monotonic() - began):.0f} tok/s",
                flush=True,
            )
            loss_sum = right = seen = 0.0
        if step % 300 == 299:
            torch.save(model.state_dict(), out / "last.pt")
    torch.save(model.state_dict(), out / "last.pt")
    save(model, out)


def save(model: Llama, out: Path) -> None:
    """The weights as a Hugging Face folder, beside the tokenizer."""
    tensors = {
        f"model.{name}": value.to(torch.bfloat16).contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    end = CONTROL_TOKENS.index(END)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": SHAPE["width"],
        "intermediate_size": SHAPE["inner"],
        "num_hidden_layers": SHAPE["layers"],
        "num_attention_heads": SHAPE["heads"],
        "num_key_value_heads": SHAPE["heads"],
        "head_dim": SHAPE["width"] // SHAPE["heads"],
        "vocab_size": SHAPE["vocabulary"],
        "max_position_embeddings": CONTEXT,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": CONTROL_TOKENS.index("<|endoftext|>"),
        "torch_dtype": "bfloat16",
    }
    generation = {"do_sample": False, "eos_token_id": end, "max_new_tokens": 160}
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": "<|endoftext|>",
        "bos_token": None,
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT,
        "chat_template": TEMPLATE.read_text(encoding="utf-8").rstrip("\n"),
    }
    for name, value in (
        ("config.json", config),
        ("generation_config.json", generation),
        ("tokenizer_config.json", tokenizer),
    ):
        (out / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    hf = out / "hf"
    hf.mkdir(exist_ok=True)
    for name in (
        "config.json",
        "generation_config.json",
        "tokenizer_config.json",
        "tokenizer.json",
        "model.safetensors",
    ):
        shutil.copy(out / name, hf / name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    parser.add_argument("--hold", type=float, default=0.4, help="share of the run at full rate")
    parser.add_argument("--drills", type=float, default=0.3, help="share of the run with drills")
    parser.add_argument("--words", type=Path, default=Path("/usr/share/dict/words"))
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args())
