"""How open a model is: six grades in order, and what the words of others mean in them."""

from __future__ import annotations

import re
from typing import Literal, get_args

from bench.catalog.nouns import Access
from bench.errors import ConfigError, nearest

Grade = Literal[
    "closed-hosted",
    "closed-api",
    "weights-noncommercial",
    "weights-restricted",
    "weights-unrestricted",
    "fully-open",
]
"""`closed-hosted`: only inside its maker's product. `restricted`: a licence that limits users, size or uses.

`fully-open`: weights, training code and training data (Model Openness Framework's first two classes).
"""
GRADES: tuple[Grade, ...] = get_args(Grade)
OPEN: Grade = "weights-noncommercial"
"""Where "open" begins unless the reader says otherwise: any downloadable weights."""

_EPOCH: dict[str, Grade] = {
    "hosted access (no api)": "closed-hosted",
    "api access": "closed-api",
    "open weights (non-commercial)": "weights-noncommercial",
    "open weights (restricted use)": "weights-restricted",
    "open weights (unrestricted)": "weights-unrestricted",
}
_CATALOG: dict[Access, Grade | None] = {
    "fully open": "fully-open",
    "open weights": "weights-unrestricted",
    "open weights restricted": "weights-restricted",
    "api-only": "closed-api",
    "unreleased": None,
}
_LICENCES: dict[str, Grade] = {
    # arena labels and Hugging Face tags, lower case, without blanks, hyphens and underscores
    "proprietary": "closed-api",
    "propretary": "closed-api",
    "proprietry": "closed-api",
    "closed": "closed-api",
    "apache2.0": "weights-unrestricted",
    "apache2": "weights-unrestricted",
    "apache": "weights-unrestricted",
    "mit": "weights-unrestricted",
    "mitlicense": "weights-unrestricted",
    "bsd3clause": "weights-unrestricted",
    "cc0": "weights-unrestricted",
    "ccby4.0": "weights-unrestricted",
    "ccbysa4.0": "weights-unrestricted",
    "olmo": "weights-unrestricted",
    "modifiedmit": "weights-restricted",
    "mitmodified": "weights-restricted",
    "llama": "weights-restricted",
    "llama2": "weights-restricted",
    "llama2community": "weights-restricted",
    "llama3": "weights-restricted",
    "llama3community": "weights-restricted",
    "llama3.1": "weights-restricted",
    "llama3.1community": "weights-restricted",
    "llama3.2": "weights-restricted",
    "llama3.2community": "weights-restricted",
    "llama3.3": "weights-restricted",
    "llama3.3community": "weights-restricted",
    "llama4": "weights-restricted",
    "llama4community": "weights-restricted",
    "gemma": "weights-restricted",
    "gemmalicense": "weights-restricted",
    "qwen": "weights-restricted",
    "qianwenlicense": "weights-restricted",
    "deepseek": "weights-restricted",
    "deepseeklicense": "weights-restricted",
    "deepseeklicence": "weights-restricted",
    "yilicense": "weights-restricted",
    "jambaopen": "weights-restricted",
    "dbrxlicense": "weights-restricted",
    "falcon180btiilicense": "weights-restricted",
    "falcon180b": "weights-restricted",
    "nvidiaopenmodel": "weights-unrestricted",
    "nvidia": "weights-restricted",
    "nvidiaopen": "weights-unrestricted",
    "tencenthunyuan": "weights-restricted",
    "minimaxai": "weights-restricted",
    "bigcodeopenrailm": "weights-restricted",
    "bloomrail1.0": "weights-restricted",
    "openrail": "weights-restricted",
    "grok2community": "weights-restricted",
    "ai2impactmediumrisk": "weights-restricted",
    "ai2impactlowrisk": "weights-restricted",
    "noncommercial": "weights-noncommercial",
    "nexusflow": "weights-noncommercial",
    "mrl": "weights-noncommercial",
    "mistralresearch": "weights-noncommercial",
    "mnpl": "weights-noncommercial",
    "ccbync4.0": "weights-noncommercial",
    "ccbyncsa4.0": "weights-noncommercial",
    "ccbync": "weights-noncommercial",
    "cogvlmlicense": "weights-noncommercial",
}


def at_least(grade: str, threshold: str) -> bool:
    """Whether a model of that grade is at least as open as the threshold."""
    return GRADES.index(checked(grade)) >= GRADES.index(checked(threshold))


def checked(grade: str, where: str = "grade") -> Grade:
    """The grade of that name; ConfigError for any other word."""
    for known in GRADES:
        if grade == known:
            return known
    raise ConfigError(f"{where} {grade!r} is unknown{nearest(grade, GRADES)} (in order: {', '.join(GRADES)})")


def from_epoch(words: str | None) -> Grade | None:
    """Epoch's "Model accessibility"; None for Unreleased, Unknown and blank, and for words it never used."""
    return _EPOCH.get((words or "").strip().lower())


def from_licence(label: str | None) -> Grade | None:
    """What a leaderboard's licence label says of the weights; None for labels we don't know.

    A label can be wrong: overrides with a source win over it (`bench.catalog.names`).
    """
    return _LICENCES.get(re.sub(r"[\s_-]+", "", (label or "").lower()))


def from_catalog(access: Access) -> Grade | None:
    """Of the four words of models.toml; its `restricted` doesn't say whether commerce is allowed."""
    return _CATALOG[access]
