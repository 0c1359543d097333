"""The Llama forward pass in numpy, float32, over a ragged batch with a cache per sequence.

Letters in shapes: n rows (tokens of any sequences, padded to whole blocks), d width, h heads, e = d / h, t tokens in a
sequence's cache, v vocabulary. Linear layers see all rows, in blocks of four; attention goes sequence by sequence.
Because every product has the same shape, a token's logits do not depend, to the bit, on who else is in the batch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
BLOCK = 4
"""Rows of every product: nearly as fast as one row, and a shape of its own would round in its own way."""


@dataclass(frozen=True)
class Layer:
    norm_in: Array
    """(d,)"""
    qkv: Array
    """(d, 3d), three projections side by side"""
    out: Array
    """(d, d)"""
    norm_mid: Array
    """(d,)"""
    gate_up: Array
    """(d, 2m), m the hidden width"""
    down: Array
    """(m, d)"""


class Cache:
    """Keys and values of one sequence: (layers, h, e, t) and (layers, h, t, e), doubled whenever they are full."""

    def __init__(self, model: Decoder) -> None:
        layers, heads, head = len(model.layers), model.heads, model.width // model.heads
        self.keys: Array = np.empty((layers, heads, head, 0), np.float32)
        self.values: Array = np.empty((layers, heads, 0, head), np.float32)
        self.length = 0

    def make_room(self, tokens: int) -> None:
        """For so many more."""
        had, needed = self.keys.shape[3], self.length + tokens
        if needed > had:
            more = max(64, had, needed - had)
            self.keys = np.pad(self.keys, ((0, 0), (0, 0), (0, 0), (0, more)))
            self.values = np.pad(self.values, ((0, 0), (0, 0), (0, more), (0, 0)))


@dataclass(frozen=True)
class Rows:
    """A stretch of one sequence's tokens to be run now, in order."""

    tokens: list[int]
    cache: Cache


class Decoder:
    """Weights, and the one function over them."""

    def __init__(self, tensors: dict[str, Array], config: dict[str, int]) -> None:
        self.width, self.heads = config["hidden_size"], config["num_attention_heads"]
        self.eps, self.context = config["rms_norm_eps"], config["max_position_embeddings"]
        self.embed = tensors["model.embed_tokens.weight"]
        self.unembed = np.ascontiguousarray(self.embed.T)
        self.norm = tensors["model.norm.weight"]
        self.layers = [_layer(tensors, f"model.layers.{i}.") for i in range(config["num_hidden_layers"])]
        head = self.width // self.heads
        speeds = config["rope_theta"] ** (-np.arange(0, head, 2) / head)
        angles = np.outer(np.arange(self.context), speeds)
        self.cos, self.sin = (f(angles).astype(np.float32)[:, None] for f in (np.cos, np.sin))

    def forward(self, batch: list[Rows]) -> Array:
        """Logits (tokens of `batch`, v) after each of them, in order. Appends to the caches."""
        count = sum(len(rows.tokens) for rows in batch)
        n = -(-count // BLOCK) * BLOCK
        tokens, places = np.zeros(n, np.int64), np.zeros(n, np.int64)
        spans, at = [], 0
        for rows in batch:
            begin, end, past = at, at + len(rows.tokens), rows.cache.length
            rows.cache.make_room(end - begin)
            tokens[begin:end], places[begin:end] = rows.tokens, range(past, past + end - begin)
            spans.append((slice(begin, end), past, rows.cache))
            at = end
        x = self.embed[tokens]
        cos, sin = self.cos[places], self.sin[places]
        for number, layer in enumerate(self.layers):
            qkv = product(self._normed(x, layer.norm_in), layer.qkv).reshape(n, 3, self.heads, -1)
            q, k, v = _turned(qkv[:, 0], cos, sin), _turned(qkv[:, 1], cos, sin), qkv[:, 2]
            mixed = np.zeros((n, self.width), np.float32)
            for span, past, cache in spans:
                mixed[span] = _attend(q[span], k[span], v[span], past, cache.keys[number], cache.values[number])
            x = x + product(mixed, layer.out)
            gate, up = np.split(product(self._normed(x, layer.norm_mid), layer.gate_up), 2, axis=1)
            x = x + product(gate / (1 + np.exp(-gate)) * up, layer.down)
        for rows in batch:
            rows.cache.length += len(rows.tokens)
        return product(self._normed(x, self.norm), self.unembed)[:count]

    def _normed(self, x: Array, weight: Array) -> Array:
        """RMSNorm."""
        normed: Array = x / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + np.float32(self.eps)) * weight
        return normed


def product(x: Array, weight: Array) -> Array:
    """x (n, i) @ weight (i, j), block by block."""
    blocks: Array = x.reshape(-1, BLOCK, x.shape[1]) @ weight
    return blocks.reshape(len(x), -1)


def _attend(q: Array, k: Array, v: Array, past: int, keys: Array, values: Array) -> Array:
    """q, k, v (s, h, e) of one sequence's new tokens -> (s, d); each sees the `past` tokens and itself."""
    s, total = len(q), past + len(q)
    keys[:, :, past:total], values[:, past:total] = k.transpose(1, 2, 0), v.transpose(1, 0, 2)
    scores = q.transpose(1, 0, 2) @ keys[:, :, :total] * np.float32(q.shape[2] ** -0.5)
    if s > 1:
        scores[:, np.arange(total) > past + np.arange(s)[:, None]] = -np.inf
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    mixed: Array = (weights @ values[:, :total]).transpose(1, 0, 2).reshape(s, -1)
    return mixed


def _turned(x: Array, cos: Array, sin: Array) -> Array:
    """RoPE, Llama's half-split form: x (n, h, e), cos and sin (n, 1, e / 2)."""
    a, b = np.split(x, 2, axis=2)
    return np.concatenate((a * cos - b * sin, b * cos + a * sin), axis=2)


def log_softmax(logits: Array) -> Array:
    """Natural-log probabilities along the last axis, in float32."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logs: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs


def load(path: Path) -> Decoder:
    """The decoder of a safetensors file written by `train.py`."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118 (no mapping)
        return Decoder(tensors, json.loads(file.metadata()["about"])["config"])


def _layer(tensors: dict[str, Array], prefix: str) -> Layer:
    """Transposed and joined once, so that a step is four products a layer."""

    def columns(block: str, *names: str) -> Array:
        joined = np.concatenate([tensors[f"{prefix}{block}.{name}_proj.weight"].T for name in names], axis=1)
        return np.ascontiguousarray(joined)  # by rows: five times faster in blocks of four

    return Layer(
        norm_in=tensors[f"{prefix}input_layernorm.weight"],
        qkv=columns("self_attn", "q", "k", "v"),
        out=columns("self_attn", "o"),
        norm_mid=tensors[f"{prefix}post_attention_layernorm.weight"],
        gate_up=columns("mlp", "gate", "up"),
        down=columns("mlp", "down"),
    )
