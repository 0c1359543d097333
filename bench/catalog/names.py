"""Which model a name means: explicit rules, and a file of exceptions; never a guess by likeness.

A *version* is what was measured (`gpt-5-2025-08-07`): the name without the host that served it and without the effort
it was asked with. Versions of the same weights under two spellings are one; base and instruct stay two. A *model* is
the release they belong to (`gpt-5`): the version without date, stage, tuning and quantisation. Where a maker or Epoch
treats a dated snapshot as a release of its own (DeepSeek-R1-0528, Claude 3.5 Sonnet of October 2024), an alias says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

from bench.catalog.overrides import Overrides, folded, load_overrides, packaged

__all__ = ["Match", "Overrides", "load_overrides", "match"]

PUBLISHERS = frozenset(
    {
        *("ai21", "ai21labs", "alibaba", "allenai", "amazon", "anthropic", "baichuan-inc", "bigscience", "cerebras"),
        *("cohere", "coherelabs", "databricks", "deepseek", "deepseek-ai", "eleutherai", "google", "huggingface"),
        *("ibm-granite", "inclusionai", "internlm", "lmsys", "meta", "meta-llama", "microsoft", "minimax", "minimaxai"),
        *("mistral", "mistralai", "moonshotai", "mosaicml", "nousresearch", "nvidia", "openai", "qwen", "rekaai"),
        *("stabilityai", "tencent", "tiiuae", "upstage", "writer", "x-ai", "xai", "xai-org", "xiaomi", "z-ai", "zai"),
        *("zai-org", "zhipuai", "01-ai"),
    }
)
"""Prefixes that name who made the weights, on Hugging Face, OpenRouter and Bedrock."""

_PATH = re.compile(r"~?(?:accounts/(?P<account>[\w-]+)/models/|(?P<path>(?:[^/]+/)*[^/]+)/)(?P<rest>.+)", re.S)
_BEDROCK = re.compile(r"(?:(?:global|regional|us|eu|apac|jp|au)\.)?(?P<who>[a-z0-9]+)\.(?P<rest>[a-z][\w.:-]*)")
_VARIANT = re.compile(r":(free|batch|nitro|floor|extended|exacto|beta)$")
_TAG = re.compile(r"(?<!-v\d):(?=\d)")
"""Ollama's colon before the size; not Bedrock's -v1:0."""
_APP = re.compile(r"(?:[-_ ](web-?app)| \((?:web app|web)\))$", re.I)
_SERVED = re.compile(r" \((?P<mode>thinking; ?)?(?P<who>fireworks|together|novita|deepinfra|chutes)\)$", re.I)
"""How Epoch's display names say who served."""
_PARASAIL = re.compile(r"parasail-(?P<rest>.+)")

LEVELS = "xhigh|high|medium|low|minimal|max"
_EFFORTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"_({LEVELS}|none|unknown|\d+k)$", re.I), "the suffix after _ is the effort"),
    (re.compile(r"_(no[-_ ]?thinking|non[-_ ]?reasoning)$", re.I), "the suffix after _ switches thinking off"),
    (re.compile(r"_(thinking|reasoning)$", re.I), "the suffix after _ switches thinking on"),
    (
        re.compile(rf"[ -]?\(({LEVELS}|none|unknown|\d+k|thinking|no thinking)(?:\)| thinking\))$", re.I),
        "the bracket is the effort",
    ),
    (re.compile(r"-thinking-(\d+k)$", re.I), "the end is the budget of thinking"),
    (re.compile(r"-(no-thinking|non-reasoning)$", re.I), "the end switches thinking off"),
    (re.compile(r":(thinking)$", re.I), "the variant switches thinking on"),
)
_HYPHEN_LEVEL = re.compile(rf"(?:chat)?(?:gpt|o\d|grok|gemini|claude)[\w.-]*-({LEVELS})", re.I)
"""Only of makers whose models are not called Medium or Large."""
_NOT_A_LEVEL = re.compile(r".*codex-max", re.I)
_HYPHEN_MODE = re.compile(
    r"(?:claude|grok|deepseek-v3|glm-4\.[5-9]|glm-5|gemini-2\.5|gemini-3)[\w.-]*[- ](thinking|reasoning)", re.I
)
"""Of hybrid models only; Kimi K2 Thinking, Qwen3-…-Thinking-2507 and Gemini 2.0 Flash Thinking are other weights."""

_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_SPELLINGS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), into, why)
    for pattern, into, why in (
        (r"^(?:meta-)?llama-(?:llama-)?(?=\d)|^(?:meta-)?llama(?=\d)", "llama-", "Llama without its maker's name"),
        (
            r"^(?:c4ai|cohere|amazon(?=.nova)|nvidia(?=-llama|-nemotron)|ibm(?=-granite))[.-]",
            "",
            "maker's name dropped",
        ),
        (r"^open-(?=mistral|mixtral|codestral)", "", "Mistral's open- is dropped"),
        (r"^(phi|gemma)(?=\d)", r"\1-", "a hyphen before the number"),
        (r"^qwen-(?=\d(?:\.\d)?(?:-|$))", "qwen", "Qwen writes its number without a hyphen"),
        (r"^(llama-\d)-(\d)(?=-\d+b)", r"\1.\2", "the version's hyphen is a dot"),
        (r"^(deepseek-v\d|kimi-k\d|glm-\d|qwen\d|minimax-m\d)p(\d)", r"\1.\2", "p between digits is a dot"),
        (r"-v\d:0$", "", "Bedrock's version of the API is dropped"),
        (r"^(nova-(?:lite|micro|pro|premier))-v1\.0$", r"\1", "the version of the API is dropped"),
        (r"-customtools$", "", "a way of serving is dropped"),
    )
)
"""Two ways of writing one version."""
_REWRITES: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), into, why)
    for pattern, into, why in (
        (r"^(claude-\d)-(\d)(?=-[a-z])", r"\1.\2", "the version's hyphen is a dot"),
        (r"^(claude-(?:opus|sonnet|haiku|fable|mythos)-\d+)-(\d)(?=-|$)", r"\1.\2", "the version's hyphen is a dot"),
        (r"^claude-([4-9](?:\.\d)?)-(opus|sonnet|haiku)", r"claude-\2-\1", "family before number, as since Claude 4"),
        (r"^(grok-\d|gemini-\d)-(\d)(?=-|$)", r"\1.\2", "the version's hyphen is a dot"),
        (r"^(llama-4-(?:maverick|scout))-17b-\d+e", r"\1", "the sizes of the experts are dropped"),
        (r"^llama-3\.2-(?:vision-)?(11b|90b)(?:-vision)?", r"llama-3.2-\1", "Vision is no other release"),
        (r"^(mistral-small)-(3(?:\.\d)?)?-?24b(?=-|$)", r"\1-\2", "the size is dropped: the number says which"),
        (r"^(olmo-2)-\d{4}-", r"\1-", "the date inside the name is dropped"),
    )
)
_SUFFIXES: tuple[tuple[str, str], ...] = (
    (r"-(?:fp8|fp4|bf16|int4|int8|awq|gptq|gguf|draft|q\d(?:-[k\d](?:-[ms])?)?)", "quantised"),
    (r"-turbo(?<=-instruct-turbo)", "quantised by the host"),
    (r"-20[12]\d-?[01]\d(?:-?[0-3]\d)?", "date"),
    (rf"-{_MONTH}-{_DAY}(?:-20[12]\d)?", "date"),
    (rf"-{_MONTH}-20[12]\d", "date"),
    (r"-(?:jan|feb|mar|apr|may|june?|july?|aug|sep|oct|nov|dec)[a-z]*-20[12]\d", "date"),
    (rf"-(?:{_MONTH}{_DAY}|2[3-9]{_MONTH})", "date"),
    (r"-00[1-9](?:-feb24)?", "number of the snapshot"),
    (r"-v0\.\d", "number of the snapshot"),
    (r"-(?:preview|latest|exp|experimental|beta|api)", "stage"),
    (r"-(?:instruct|chat|it|hf|base)", "tuning"),
    (r"-\d+k", "length of the context"),
)
_SUFFIX = re.compile("(?:" + "|".join(f"({pattern})" for pattern, _ in _SUFFIXES) + ")$")


@dataclass(frozen=True, kw_only=True)
class Match:
    """What a name means, and by which rules."""

    model: str
    version: str
    effort: str | None
    """As the source says it: high, 32K, thinking, none (switched off), unknown; None = nothing was said."""
    host: str | None
    """Who served it, where the name says so: not who made it."""
    steps: tuple[str, ...]
    """Each rule that changed something, in words."""


def match(name: str, overrides: Overrides | None = None) -> Match:
    """The model that `name` means, by the packaged exceptions unless others are given; every name means something."""
    return _match(name, overrides or packaged())


@lru_cache(maxsize=100_000)
def _match(name: str, overrides: Overrides) -> Match:
    steps: list[str] = []
    rest, host = _hosted(_plain(name), steps)
    rest, effort = _effort(rest, steps)
    if host is None and (app := _APP.search(rest)):
        rest, host = rest[: app.start()], "web app"
        steps.append(f"{app[0]!r} at the end: asked in the maker's web app, not by API")
    version = _stepped("folded to lower case and hyphens", rest, folded(_TAG.sub("-", rest)), steps)
    version = _changed(version, _SPELLINGS, steps)
    model, version = _model(name, version, overrides, steps)
    return Match(model=model, version=version, effort=effort, host=host, steps=tuple(steps))


def _model(name: str, version: str, overrides: Overrides, steps: list[str]) -> tuple[str, str]:
    """The model, and the version as an exception has it."""
    for what, asked in (("name", folded(name)), ("version", version)):
        if alias := overrides.aliases.get(asked):
            if alias.model != asked:
                steps.append(f"the {what} {asked!r} is an exception: {alias.model} ({alias.source})")
            return alias.model, alias.version or version
    model = _rewritten(version, steps)
    if (alias := overrides.aliases.get(model)) and alias.model != model:
        steps.append(f"{model!r} is an exception: {alias.model} ({alias.source})")
        return alias.model, alias.version or version
    return model, version


def _rewritten(version: str, steps: list[str]) -> str:
    version = _changed(version, _REWRITES, steps)
    shorter: str | None = version
    while shorter:
        version, shorter = shorter, _shortened(shorter, steps)
    return version


def _changed(name: str, rules: tuple[tuple[re.Pattern[str], str, str], ...], steps: list[str]) -> str:
    for pattern, into, why in rules:
        name = _stepped(why, name, pattern.sub(into, name), steps)
    return name


def _shortened(version: str, steps: list[str]) -> str | None:
    """One suffix less; None when there is none, or when it is the whole name."""
    found = _SUFFIX.search(version)
    if found is None or found.start() == 0:
        return None
    steps.append(f"{found[0]!r} dropped: {_SUFFIXES[(found.lastindex or 1) - 1][1]}")
    return version[: found.start()]


def _hosted(name: str, steps: list[str]) -> tuple[str, str | None]:
    """The name without the path or prefix in front, and the host it stood for."""
    host: str | None = None
    if found := _PATH.fullmatch(name):
        prefix = found["account"] or found["path"]
        name = found["rest"]
        host = None if prefix.lower() in PUBLISHERS else prefix
        steps.append(f"prefix {prefix!r} dropped: {'who made it' if host is None else 'who served it'}")
    elif (found := _BEDROCK.fullmatch(name)) and found["who"] in PUBLISHERS:
        name, host = found["rest"], "bedrock"
        steps.append("Bedrock's prefix dropped: who served it")
    elif found := _PARASAIL.fullmatch(name):
        name, host = found["rest"], "parasail"
        steps.append("prefix 'parasail-' dropped: who served it")
    if found := _SERVED.search(name):
        name, host = name[: found.start()] + " (thinking)" * bool(found["mode"]), found["who"].lower()
        steps.append(f"the bracket says who served it: {host}")
    if found := _VARIANT.search(name):
        name = name[: found.start()]
        steps.append(f"{found[0]!r} dropped: a way of serving")
    return name, host


def _effort(name: str, steps: list[str]) -> tuple[str, str | None]:
    for pattern, why in _EFFORTS:
        if found := pattern.search(name):
            steps.append(f"{why}: {_said(found[1])}")
            return name[: found.start()], _said(found[1])
    for whole in (_HYPHEN_LEVEL, _HYPHEN_MODE):
        if (found := whole.fullmatch(name)) and not _NOT_A_LEVEL.fullmatch(name):
            steps.append(f"the end is the effort, for this family: {_said(found[1])}")
            return name[: found.start(1) - 1], _said(found[1])
    return name, None


@cache
def _said(effort: str) -> str:
    word = re.sub(r"[-_ ]", "", effort.lower())
    if word[:-1].isdigit():
        return word.upper()
    off: Callable[[str], bool] = {"nothinking", "nonreasoning"}.__contains__
    return "none" if off(word) else "thinking" if word == "reasoning" else word


def _plain(name: str) -> str:
    """Blanks at the ends and typographic hyphens away."""
    return name.strip().translate(_HYPHENS)


def _stepped(why: str, before: str, after: str, steps: list[str]) -> str:
    if after != before:
        steps.append(f"{why}: {after}")
    return after


_HYPHENS = str.maketrans({"\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u00a0": " "})
