"""Trains the embedded family: characters in, answers out, every size on the same tokens in the same order.

    python -m bench.engines.embedded.train      (needs torch; about an hour on one core, less with --models in parallel)

Llama architecture (RMSNorm, RoPE, SwiGLU, no biases, tied embeddings). Loss on the answer and its end only. Linear
layers run on the unpadded tokens of a batch; only attention sees padding. Matrices are trained by Muon (momentum made
orthogonal: Jordan et al. 2024, kellerjordan.github.io/posts/muon), the rest by AdamW. One seed fixes items, order
and initial weights.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, rms_norm, scaled_dot_product_attention, silu

from bench.engines.embedded.alphabet import BOS, EOS, VOCABULARY, encode
from bench.items.draw import build
from bench.items.quick import TASKS, held_out, training_pairs

SIZES = {  # width, layers, heads
    "nano": (88, 1, 2),
    "micro": (64, 2, 4),
    "small": (72, 3, 3),
    "base": (128, 4, 4),
    "large": (160, 6, 5),
}
HARDER = ("quick_count", "quick_add", "quick_sub")
MIX = [(t.name, level) for t in TASKS for level in (1, 2, 2, 3, 3, 3) for _ in range(2 if t.name in HARDER else 1)]
"""Cells of the training stream: long items and the tasks that need arithmetic come up more often."""
CONTEXT = 1024
EPS = 1e-5


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all sizes have in common."""

    seed: str = "train-1"
    items: int = 90_000
    batch: int = 96
    """Items a step; about 27 tokens each."""
    matrix_lr: float = 0.006
    vector_lr: float = 0.002
    decay_from: float = 0.6
    """Share of the run after which the learning rates fall in a line to zero."""
    evaluations: int = 20
    early: int = 6
    """Number of the evaluation at which the state is kept as `NAME-early`."""


@dataclass(frozen=True)
class Batch:
    """Items laid end to end without padding; `tokens` (n,), places in a padded (items, longest) grid in `grid`."""

    tokens: Tensor
    places: Tensor
    """(n,) place of each token in its item, for RoPE."""
    grid: Tensor
    """(n,) flat index into the padded grid."""
    shape: tuple[int, int]
    asked: Tensor
    """Indices of the tokens whose successor is part of the answer."""
    answers: Tensor
    """Those successors."""


def lay_out(pairs: list[tuple[str, str]]) -> Batch:
    """(prompt, answer) pairs as one Batch."""
    rows = [(BOS, *encode(f"{prompt} {answer}"), EOS) for prompt, answer in pairs]
    longest = max(map(len, rows)) - 1
    tokens, places, grid, asked, answers = [], [], [], [], []
    for r, (row, (prompt, _)) in enumerate(zip(rows, pairs, strict=True)):
        start = len(tokens)
        tokens += row[:-1]
        places += range(len(row) - 1)
        grid += range(r * longest, r * longest + len(row) - 1)
        asked += range(start + len(prompt), start + len(row) - 1)
        answers += row[len(prompt) + 1 :]
    flat = (torch.tensor(x) for x in (tokens, places, grid))
    return Batch(*flat, (len(rows), longest), torch.tensor(asked), torch.tensor(answers))


class Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        hidden = hidden_width(width)
        self.heads = heads
        self.input_layernorm = nn.Parameter(torch.ones(width))
        self.post_attention_layernorm = nn.Parameter(torch.ones(width))
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate_proj, self.up_proj = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, batch: Batch, turn: tuple[Tensor, Tensor], only: Tensor | None) -> Tensor:
        """x (n, width) -> (n, width), or (len(only), width) if only some tokens matter after this layer."""
        n, width = x.shape
        h = rms_norm(x, (width,), self.input_layernorm, EPS)
        split = (n, self.heads, width // self.heads)
        q, k = (rotate(p(h).view(split), *turn) for p in (self.q_proj, self.k_proj))
        padded = [self._pad(t, batch) for t in (q, k, self.v_proj(h).view(split))]
        mixed = scaled_dot_product_attention(*padded, is_causal=True).transpose(1, 2).reshape(-1, width)[batch.grid]
        if only is not None:
            x, mixed = x[only], mixed[only]
        x = x + self.o_proj(mixed)
        h = rms_norm(x, (width,), self.post_attention_layernorm, EPS)
        return x + self.down_proj(silu(self.gate_proj(h)) * self.up_proj(h))

    @staticmethod
    def _pad(t: Tensor, batch: Batch) -> Tensor:
        """(n, heads, head) -> (items, heads, longest, head)."""
        rows, longest = batch.shape
        out = t.new_zeros(rows * longest, *t.shape[1:]).index_copy(0, batch.grid, t)
        return out.view(rows, longest, *t.shape[1:]).transpose(1, 2)


class Decoder(nn.Module):
    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Parameter(torch.randn(len(VOCABULARY), width) * width**-0.5)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.Parameter(torch.ones(width))
        head = width // heads
        angle = torch.outer(torch.arange(CONTEXT), 10000.0 ** (-torch.arange(0, head, 2) / head))
        self.cos, self.sin = angle.cos()[:, None], angle.sin()[:, None]
        self.config = {
            "architectures": ["LlamaForCausalLM"],
            "hidden_size": width,
            "intermediate_size": hidden_width(width),
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "rms_norm_eps": EPS,
            "rope_theta": 10000.0,
            "vocab_size": len(VOCABULARY),
            "max_position_embeddings": CONTEXT,
            "tie_word_embeddings": True,
        }
        for name, p in self.named_parameters():
            if p.ndim == 2 and "proj" in name:
                nn.init.normal_(p, std=p.shape[1] ** -0.5 * (0.0 if "o_proj" in name or "down" in name else 1.0))

    def forward(self, batch: Batch) -> Tensor:
        """Logits (answer tokens, vocabulary)."""
        x = self.embed_tokens[batch.tokens]
        turn = self.cos[batch.places], self.sin[batch.places]
        for i, layer in enumerate(self.layers):
            x = layer(x, batch, turn, batch.asked if i == len(self.layers) - 1 else None)
        return rms_norm(x, x.shape[1:], self.norm, EPS) @ self.embed_tokens.T


def hidden_width(width: int) -> int:
    """SwiGLU at 8/3 of the width, in whole blocks of 16."""
    return round(width * 8 / 3 / 16) * 16


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE in Llama's half-split form; x (n, heads, head), cos and sin (n, 1, head / 2)."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Muon:
    """Momentum, then its nearest orthogonal matrix by five Newton-Schulz steps; same-shaped matrices go together."""

    def __init__(self, matrices: list[nn.Parameter], momentum: float = 0.95) -> None:
        self.momentum = momentum
        shapes = sorted({tuple(p.shape) for p in matrices})
        self.groups = [[p for p in matrices if tuple(p.shape) == shape] for shape in shapes]
        self.memory = [torch.zeros(len(g), *g[0].shape) for g in self.groups]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        for group, memory in zip(self.groups, self.memory, strict=True):
            grad = torch.stack([p.grad for p in group])
            memory.lerp_(grad, 1 - self.momentum)
            update = orthogonal(grad.lerp(memory, self.momentum))
            scale = lr * max(1.0, grad.shape[1] / grad.shape[2]) ** 0.5
            for p, u in zip(group, update, strict=True):
                p.mul_(1 - 0.01 * lr).sub_(u, alpha=scale)


def orthogonal(g: Tensor) -> Tensor:
    """g (k, rows, columns) with its singular values pushed towards 1 (coefficients of Jordan et al.)."""
    tall = g.shape[1] > g.shape[2]
    x = g.mT if tall else g
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (2.0315 * a @ a - 4.7750 * a) @ x
    return x.mT if tall else x


def batches(plan: Plan) -> Iterator[Batch]:
    """The training run, the same for every size."""
    pairs = training_pairs(plan.seed, plan.items, held_out(), MIX)
    waiting: list[tuple[str, str]] = []
    for _, prompt, answer, _ in pairs:
        waiting.append((prompt, answer))
        if len(waiting) == plan.batch:
            yield lay_out(waiting)
            waiting = []


@torch.no_grad()
def accuracy(model: Decoder) -> dict[str, object]:
    """Share of the suite's items answered exactly: macro, then by task. Greedy decoding is right iff every step is."""
    shares: dict[str, float] = {}
    for task in TASKS:
        pairs = [(item.prompt, item.target) for item in build(task, "frozen-1")]
        batch = lay_out(pairs)
        wrong = model(batch).argmax(-1) != batch.answers
        rows = (batch.grid[batch.asked] // batch.shape[1])[wrong]
        shares[task.name] = 1 - len(set(rows.tolist())) / len(pairs)
    macro = sum(shares.values()) / len(shares)
    return {"macro": f"{macro:.4f}"} | {task: f"{share:.3f}" for task, share in shares.items()}


def train(name: str, plan: Plan, out: Path, log: Path) -> None:
    """One size from nothing to `out/name.safetensors`, with `name-early` on the way; a row of `log` per evaluation."""
    torch.manual_seed(int.from_bytes(sha256(f"{plan.seed}/{name}".encode()).digest()[:7]))
    model = Decoder(*SIZES[name])
    matrices = [p for p in model.parameters() if p.ndim == 2 and p is not model.embed_tokens]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    muon, adam = Muon(matrices), torch.optim.AdamW(others, lr=plan.vector_lr, betas=(0.9, 0.98), weight_decay=0.0)
    steps = plan.items // plan.batch
    fast = torch.compile(model, dynamic=True)
    marks = {math.ceil(steps * k / plan.evaluations): k for k in range(1, plan.evaluations + 1)}
    tokens, started, recent = 0, time.monotonic(), 0.0
    for step, batch in enumerate(batches(plan), 1):
        rate = min(1.0, step / 100, (steps - step) / (steps * (1 - plan.decay_from)) + 1e-3)
        loss = cross_entropy(fast(batch), batch.answers)
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(others, 1.0)
        adam.param_groups[0]["lr"] = plan.vector_lr * rate
        adam.step()
        muon.step(plan.matrix_lr * rate)
        tokens += len(batch.tokens)
        recent = loss.item() if step == 1 else 0.98 * recent + 0.02 * loss.item()
        if step in marks:
            row = {"model": name, "step": step, "tokens": tokens, "loss": f"{recent:.4f}"}
            write_row(log, row | accuracy(model) | {"wall_s": f"{time.monotonic() - started:.0f}"})
            save(model, out / f"{name}.safetensors", plan, tokens)
            if marks[step] == plan.early:
                save(model, out / f"{name}-early.safetensors", plan, tokens, checkpoint_of=name)


def write_row(path: Path, row: dict[str, object]) -> None:
    """Append; several trainings may share the file."""
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)
    print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)


def save(model: Decoder, path: Path, plan: Plan, tokens: int, checkpoint_of: str = "") -> None:
    """float16 safetensors under Llama's tensor names; everything the catalogue wants is in its header."""
    tensors = {"model.embed_tokens.weight": model.embed_tokens, "model.norm.weight": model.norm}
    for i, layer in enumerate(model.layers):
        for name, p in layer.named_parameters():
            block = "" if "layernorm" in name else "self_attn." if name[0] in "qkvo" else "mlp."
            tensors[f"model.layers.{i}.{block}{name.removesuffix('.weight')}.weight"] = p
    about = {
        "config": model.config,
        "seed": plan.seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens_seen": tokens,
        "trained": datetime.now(UTC).date().isoformat(),
        "checkpoint_of": checkpoint_of or None,
    }
    halves = {name: p.detach().half().contiguous() for name, p in tensors.items()}
    partial = path.with_suffix(".partial")
    save_file(halves, partial, {"about": json.dumps(about)})  # one key: safetensors shuffles several
    partial.replace(path)


def main() -> None:
    defaults = Plan()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", default=",".join(SIZES))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "weights")
    parser.add_argument("--log", type=Path, default=Path(__file__).parent / "training_log.csv")
    parser.add_argument("--items", type=int, default=defaults.items)
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--matrix-lr", type=float, default=defaults.matrix_lr)
    parser.add_argument("--vector-lr", type=float, default=defaults.vector_lr)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(items=args.items, batch=args.batch, matrix_lr=args.matrix_lr, vector_lr=args.vector_lr)
    for name in args.models.split(","):
        train(name, plan, args.out, args.log)


if __name__ == "__main__":
    main()
