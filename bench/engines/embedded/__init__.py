"""Engine `embedded`: decoders of up to a few million parameters that come with the package, on a numpy server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.engines.embedded.family import EmbeddedModel, family, find

if TYPE_CHECKING:
    from bench.catalog.targets import Target
    from bench.engines import Launch

__all__ = ["EmbeddedModel", "command", "family", "find"]

_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Products this small are slower on two threads, and the other core is the client's."""


def command(target: Target, port: int) -> Launch:
    """A server of its own for one model."""
    from bench.engines import Launch

    model = find(target.model)
    argv = (sys.executable, "-m", "bench.engines.embedded.server", "--models", model.name, "--port", str(port))
    ours = str(Path(__file__).parents[3])  # so that it runs from any folder, installed or not
    return Launch(argv=argv, env={**_ONE_THREAD, "PYTHONPATH": ours})
