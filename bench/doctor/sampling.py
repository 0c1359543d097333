"""What of sampling is obeyed: temperature, seed, stop, and the roles of a chat."""

from __future__ import annotations

from typing import Any

from bench.doctor.answering import round_trip
from bench.doctor.visit import PLAIN, Visit, answered, refused, said, why
from bench.records import Measurement
from bench.wires.reasoning import temperature_of

TIMES = 5
OPEN = "Write one sentence about the sea."
COLOUR = "blue"


async def repeatable(visit: Visit) -> None:
    """The same question five times as runs ask it, then hotter, then with a seed."""
    cold = await _several(visit, TIMES)
    if not cold:
        return
    round_trip(visit, cold)
    kinds = len({said(m) for m in cold})
    sent = temperature_of(visit.endpoint, visit.request(OPEN))
    at = "with the server's own temperature" if sent is None else f"at temperature {sent:g}"
    if kinds == 1:
        visit.tell("repeatable", "ok", f"{len(cold)} equal answers to one prompt {at}")
    else:
        visit.tell("repeatable", "note", f"{kinds} different answers of {len(cold)} to one prompt {at}: use --repeats")
    hot = await _hot(visit, {said(m) for m in cold})
    await _seed(visit, hot)


async def _several(visit: Visit, times: int, **fields: Any) -> list[Measurement]:
    answers: list[Measurement] = []
    for _ in range(times):
        answer = await visit.ask(OPEN, cap=16, **fields)
        if not answered(answer):
            visit.tell("repeatable", "bad", f"the same question failed at try {len(answers) + 1}: {why(answer)}")
            return []
        answers.append(answer)
    return answers


async def _hot(visit: Visit, cold: set[str]) -> list[str]:
    """Answers at a high temperature without a seed; empty where none can be had."""
    if not visit.changes(visit.request(OPEN, temperature=1.5), visit.request(OPEN, temperature=None)):
        visit.tell("temperature", "ok", "none is sent, as declared")
        return []
    for temperature in (1.5, 1.0):
        answers = [await visit.ask(OPEN, cap=16, temperature=temperature) for _ in range(2)]
        if all(map(answered, answers)):
            break
    else:
        visit.tell("temperature", "note", f"0 is taken, 1 is refused: {why(answers[-1])}")
        return []
    texts = [said(m) for m in answers]
    if len(cold) == 1 and set(texts) == cold:
        visit.tell(
            "temperature", "note", f"{temperature:g} answers as 0 does: ignored, fixed, or nothing to choose from"
        )
    elif len(cold) > 2:
        visit.tell("temperature", "note", f"0 varies as {temperature:g} does: it may be ignored")
    else:
        visit.tell("temperature", "ok", f"accepted, and {temperature:g} answers otherwise than 0")
    return texts


async def _seed(visit: Visit, hot: list[str]) -> None:
    name = visit.endpoint.quirks.get("seed_field", "seed")
    if not visit.changes(visit.request(OPEN, seed=7), visit.request(OPEN)):
        visit.tell("seed", "note", "none is sent on this wire, or to this model")
        return
    answers = [await visit.ask(OPEN, cap=16, temperature=1.0 if hot else visit.target.options.temperature, seed=7)]
    if refused(answers[0]):
        wanted = visit.target.options.seed is not None
        told = f"{name} is refused: {why(answers[0])}"
        visit.tell("seed", "bad" if wanted else "note", told, quirks={"seed_field": False})
        return
    answers.append(await visit.ask(OPEN, cap=16, temperature=1.0 if hot else visit.target.options.temperature, seed=7))
    if not all(map(answered, answers)):
        visit.tell("seed", "note", f"the question with one failed: {why(answers[-1])}")
    elif len(set(hot)) < 2:
        visit.tell("seed", "note", f"{name} is accepted; whether it is obeyed can't be told, as answers hardly vary")
    elif said(answers[0]) == said(answers[1]):
        visit.tell("seed", "ok", f"{name} is obeyed: two equal answers at temperature 1")
    else:
        visit.tell("seed", "note", f"{name} is ignored: two different answers with one seed at temperature 1")


async def stop(visit: Visit) -> None:
    """Whether a stop string ends the answer."""
    text, before, end = ("Count from 1 to 9, separated by commas.", "4", "5") if visit.chat else (PLAIN, "a", "b")
    fields: dict[str, Any] = {"cap": 32, "stop": (end,)}
    if not visit.changes(visit.request(text, **fields), visit.request(text, cap=32)):
        visit.tell("stop", "note", "no stop strings are sent to this model")
        return
    answer = await visit.ask(text, **fields)
    got = answer.answer or ""
    if refused(answer):
        visit.tell("stop", "bad", f"refused: {why(answer)}", quirks={"stop_max": 0})
    elif not answered(answer):
        visit.tell("stop", "note", f"the question with one failed: {why(answer)}")
    elif end in got:
        visit.tell(
            "stop", "note", f"ignored: {got[:40]!r} goes on beyond it; answers are cut here, their tail is paid for"
        )
    elif before in got:
        visit.tell("stop", "ok", f"obeyed: {got!r}, finish reason {answer.finish_reason!r}")
    else:
        visit.tell("stop", "note", f"accepted; whether it is obeyed can't be told from {got[:40]!r}")


async def roles(visit: Visit) -> None:
    """Whether a system message is taken and obeyed, and under which name."""
    if not visit.chat:
        return
    asked: dict[str, Any] = {
        "text": "What is 2 + 2?",
        "system": f"Whatever is asked, answer with the single word: {COLOUR}",
    }
    answer = await visit.ask(**asked)
    request = visit.request(**asked)
    if refused(answer) and visit.changes(request, request, {"system_role": "user"}):
        other = await visit.ask(**asked, bend={"system_role": "user"})
        mended = {"system_role": "user"} if answered(other) else None
        visit.tell("system role", "bad", f"refused: {why(answer)}", quirks=mended)
        answer = other
    if not answered(answer):
        visit.tell("system role", "note", f"the question with one failed: {why(answer)}")
    elif COLOUR in said(answer).lower():
        visit.tell("system role", "ok", "taken and obeyed")
    else:
        visit.tell("system role", "note", f"taken, and not obeyed: {said(answer)[:40]!r}")
    if visit.changes(request, request, {"system_role": "developer"}):
        answer = await visit.ask(**asked, bend={"system_role": "developer"})
        told = "accepted as well" if answered(answer) else f"refused: {why(answer)}"
        visit.tell("developer role", "note", told)
