"""The vocabulary of deviations: data, keyed by exact model id, that wires and the client bend to.

A wire that needs a new word adds it here with its meaning; others' wires may use words that start with `x_`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.errors import nearest

QUIRKS: Mapping[str, str] = {
    "auth": "how the key travels: bearer (where nothing is said), sigv4 (AWS), google (an OAuth token minted from the "
    "account's file), or the name of the header that carries it bare: x-api-key, api-key, x-goog-api-key",
    "budget_at": "where in the body the number of thinking tokens goes: thinking.budget_tokens",
    "budget_min": "the smallest number of thinking tokens that is accepted",
    "budget_on": "fragment sent along with a number of thinking tokens",
    "cost_at": "where in an event the billed dollars stand: usage.cost",
    "cost_scale": "what that number is multiplied by to give dollars: 1e-10",
    "cap_field": "name of the token cap in the body: max_tokens or max_completion_tokens",
    "end": "`done` where [DONE] alone is a good end; elsewhere a stream without a finish reason was cut",
    "ends": "ISO date on which the provider retires the model",
    "effort_at": "where in the body the word for the effort goes: reasoning_effort, reasoning.effort; false = nowhere",
    "effort_default": "the word for the effort that holds where none is said",
    "effort_on": "fragment sent along with a word for the effort",
    "effort_words": 'the server\'s word for each of ours, where it has others: { low = "LOW" }',
    "extra_body": "fragment merged into every body",
    "http2": "true where the server is to be asked over HTTP/2",
    "logprobs": "false where the server refuses or invents log-probabilities",
    "only_wire": "the only wire on which this model answers",
    "output_excludes_reasoning": "true where the usage's output tokens leave reasoning out",
    "path": "path below the base URL instead of the wire's own; {model} in it stands for the model, which then leaves "
    "the body: /models/{model}:streamRawPredict",
    "reasoning": "none, optional, always",
    "reasoning_levels": "effort words this model accepts",
    "reasoning_off": "fragment of the body that switches reasoning off",
    "route_at": "where in an event the name of the host that really answered stands",
    "route_header": "header of the answer with the name of the host that really answered",
    "sampling": "temperature and its kin: free, when_none (only without reasoning), fixed, refused",
    "seed_field": "name of the seed in the body; false = none is accepted",
    "stop_max": "most stop strings accepted; 0 = none",
    "stream_options": "sent as it is; false = refused by the server",
    "structured": "answers to a schema: json_schema (where nothing is said), json_object, or false",
    "system_role": "role under which a system message is sent",
    "temperature_min": "the smallest temperature accepted; a smaller one is not sent",
    "tools": "false where the server takes none; auto where a call cannot be forced; when_none where it takes them "
    "only without reasoning",
}


def checked_quirks(quirks: Mapping[str, Any]) -> dict[str, Any]:
    """The same quirks, all of them known words."""
    for word in quirks:
        if word not in QUIRKS and not word.startswith("x_"):
            raise ValueError(f"unknown quirk {word!r}{nearest(word, QUIRKS)}")
    return dict(quirks)
