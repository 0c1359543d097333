"""The vocabulary of deviations: data, keyed by exact model id, that wires and the client bend to.

A wire that needs a new word adds it here with its meaning; others' wires may use words that start with `x_`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.errors import nearest

QUIRKS: Mapping[str, str] = {
    "auth": "how the key travels: bearer (where nothing is said), x-api-key, api-key, x-goog-api-key",
    "cap_field": "name of the token cap in the body: max_tokens or max_completion_tokens",
    "end": "`done` where [DONE] alone is a good end; elsewhere a stream without a finish reason was cut",
    "ends": "ISO date on which the provider retires the model",
    "extra_body": "fragment merged into every body",
    "http2": "true where the server is to be asked over HTTP/2",
    "only_wire": "the only wire on which this model answers",
    "output_excludes_reasoning": "true where the usage's output tokens leave reasoning out",
    "reasoning": "none, optional, always",
    "reasoning_levels": "effort words this model accepts",
    "reasoning_off": "fragment of the body that switches reasoning off",
    "sampling": "temperature and its kin: free, when_none (only without reasoning), fixed, refused",
    "seed_field": "name of the seed in the body; false = none is accepted",
    "stop_max": "most stop strings accepted; 0 = none",
    "stream_options": "sent as it is; false = refused by the server",
    "system_role": "role under which a system message is sent",
}


def checked_quirks(quirks: Mapping[str, Any]) -> dict[str, Any]:
    """The same quirks, all of them known words."""
    for word in quirks:
        if word not in QUIRKS and not word.startswith("x_"):
            raise ValueError(f"unknown quirk {word!r}{nearest(word, QUIRKS)}")
    return dict(quirks)
