"""Which decoders the wheel carries, read from the headers of their files: no numpy, no weights loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path

from bench.errors import ConfigError, nearest

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True)
class EmbeddedModel:
    name: str
    path: Path
    parameters: int
    tokens_seen: int
    """Characters of training, prompts included."""
    trained: date
    checkpoint_of: str | None
    """The finished model this is an earlier state of."""
    context: int
    """Longest sequence served [tokens]; training saw up to 64."""
    sha256: str


@cache
def family() -> tuple[EmbeddedModel, ...]:
    """All of them, smallest and earliest first."""
    models = [_read(path) for path in WEIGHTS.glob("*.safetensors")]
    return tuple(sorted(models, key=lambda m: (m.parameters, m.tokens_seen, m.name)))


def find(name: str) -> EmbeddedModel:
    """The model called `name`, with or without `embedded:` before it."""
    wanted = name.removeprefix("embedded:")
    for model in family():
        if model.name == wanted:
            return model
    raise ConfigError(f"embedded model {wanted!r} does not exist{nearest(wanted, (m.name for m in family()))}")


def _read(path: Path) -> EmbeddedModel:
    """The file begins with the length of its JSON header, eight bytes, little end first."""
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    about = json.loads(header["__metadata__"]["about"])
    return EmbeddedModel(
        name=path.stem,
        path=path,
        parameters=about["parameters"],
        tokens_seen=about["tokens_seen"],
        trained=date.fromisoformat(about["trained"]),
        checkpoint_of=about["checkpoint_of"],
        context=about["config"]["max_position_embeddings"],
        sha256=sha256(raw).hexdigest(),
    )
