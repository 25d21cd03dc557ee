"""Convert the Hugging Face folder to CTranslate2 int8, without torch or transformers.

python -m engine.embedded.training.convert weights/hf weights/ct2
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy
from ctranslate2.specs import common_spec, transformer_spec
from tokenizers import Tokenizer

from engine.embedded.prompt import END

Arrays = dict[str, "numpy.ndarray[Any, Any]"]


def read(path: Path) -> Arrays:
    """A bfloat16 safetensors file as float32 arrays."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    arrays: Arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        upper = numpy.frombuffer(raw[8 + size + first : 8 + size + last], numpy.uint16)
        full = (upper.astype(numpy.uint32) << 16).view(numpy.float32)
        arrays[name] = full.reshape(entry["shape"])
    return arrays


def convert(source: Path, target: Path) -> None:
    arrays = read(source / "model.safetensors")
    shape = json.loads((source / "config.json").read_text(encoding="utf-8"))
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        shape["num_hidden_layers"],
        shape["num_attention_heads"],
        activation=common_spec.Activation.SWISH,
        pre_norm=True,
        ffn_glu=True,
        rms_norm=True,
        rotary_dim=0,
        rotary_interleave=False,
        rotary_base=shape["rope_theta"],
    )
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = arrays["model.embed_tokens.weight"]
    decoder.projection.weight = arrays["model.embed_tokens.weight"]
    decoder.layer_norm.gamma = arrays["model.norm.weight"]
    for number, layer in enumerate(decoder.layer):
        part = {
            name.removeprefix(f"model.layers.{number}.").removesuffix(".weight"): array
            for name, array in arrays.items()
            if name.startswith(f"model.layers.{number}.")
        }
        layer.self_attention.layer_norm.gamma = part["input_layernorm"]
        layer.ffn.layer_norm.gamma = part["post_attention_layernorm"]
        layer.self_attention.linear[0].weight = numpy.concatenate(
            [part[f"self_attn.{which}_proj"] for which in "qkv"]
        )
        layer.self_attention.linear[1].weight = part["self_attn.o_proj"]
        layer.ffn.linear_0.weight = part["mlp.gate_proj"]
        layer.ffn.linear_0_noact.weight = part["mlp.up_proj"]
        layer.ffn.linear_1.weight = part["mlp.down_proj"]
    vocabulary = Tokenizer.from_file(str(source / "tokenizer.json")).get_vocab()
    spec.register_vocabulary(sorted(vocabulary, key=vocabulary.__getitem__))
    spec.config.bos_token = "<|endoftext|>"
    spec.config.eos_token = END
    spec.config.unk_token = "<|endoftext|>"
    spec.config.layer_norm_epsilon = shape["rms_norm_eps"]
    spec.validate()
    spec.optimize(quantization="int8")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    spec.save(str(target))
    shutil.copy(source / "tokenizer.json", target / "tokenizer.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    convert(options.source, options.target)
