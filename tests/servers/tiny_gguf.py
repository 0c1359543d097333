"""Writes a tiny Llama of random weights as GGUF, for llama.cpp: `python tiny_gguf.py FILE`. Needs gguf and numpy.

Its vocabulary is bytes, which it can read but never says, and made-up words, so that whatever is sampled is text.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

WIDTH, LAYERS, HEADS, KV_HEADS, INNER, CONTEXT = 64, 2, 4, 2, 128, 8192
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def words() -> list[tuple[str, gguf.TokenType]]:
    """The vocabulary: three controls, 256 bytes, 1,000 made-up words."""
    controls = [("<unk>", gguf.TokenType.UNKNOWN), ("<s>", gguf.TokenType.CONTROL), ("</s>", gguf.TokenType.CONTROL)]
    raw = [(f"<0x{byte:02X}>", gguf.TokenType.BYTE) for byte in range(256)]
    syllables = [head + tail for head in "bcdfghklmn" for tail in "aeiou"]
    made = [first + second for first in syllables for second in syllables[:20]]
    return [*controls, *raw, *(("\u2581" + word, gguf.TokenType.NORMAL) for word in made)]


def write(path: Path) -> None:
    """The model, of about 300,000 random weights: the same file each time."""
    vocabulary, dice = words(), np.random.default_rng(0)
    out = gguf.GGUFWriter(str(path), "llama")
    out.add_name("tiny-random")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(INNER)
    out.add_head_count(HEADS)
    out.add_head_count_kv(KV_HEADS)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(len(vocabulary))
    out.add_tokenizer_model("llama")
    out.add_token_list([word for word, _ in vocabulary])
    out.add_token_scores([-float(place) for place in range(len(vocabulary))])
    out.add_token_types([kind for _, kind in vocabulary])
    out.add_unk_token_id(0)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_chat_template(TEMPLATE)

    def random(*shape: int) -> np.ndarray:
        return dice.normal(0, 0.5 / np.sqrt(shape[-1]), shape).astype(np.float32)

    ones = np.ones(WIDTH, dtype=np.float32)
    head = 6 * random(len(vocabulary), WIDTH)
    head[:2] = head[3:259] = 0
    out.add_tensor("token_embd.weight", 6 * random(len(vocabulary), WIDTH))
    out.add_tensor("output_norm.weight", ones)
    out.add_tensor("output.weight", head)
    for layer in range(LAYERS):
        out.add_tensor(f"blk.{layer}.attn_norm.weight", ones)
        out.add_tensor(f"blk.{layer}.ffn_norm.weight", ones)
        out.add_tensor(f"blk.{layer}.attn_q.weight", random(WIDTH, WIDTH))
        out.add_tensor(f"blk.{layer}.attn_k.weight", random(WIDTH * KV_HEADS // HEADS, WIDTH))
        out.add_tensor(f"blk.{layer}.attn_v.weight", random(WIDTH * KV_HEADS // HEADS, WIDTH))
        out.add_tensor(f"blk.{layer}.attn_output.weight", random(WIDTH, WIDTH))
        out.add_tensor(f"blk.{layer}.ffn_gate.weight", random(INNER, WIDTH))
        out.add_tensor(f"blk.{layer}.ffn_up.weight", random(INNER, WIDTH))
        out.add_tensor(f"blk.{layer}.ffn_down.weight", random(WIDTH, INNER))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
