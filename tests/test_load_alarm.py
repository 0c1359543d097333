"""The alarm never rings early, rings soon after, and is no trouble when it is cancelled or late."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

import pytest

from bench.client import new_event_loop
from bench.load.alarm import Alarm

MS = 1_000_000


def ringing(ask: Callable[[Alarm], Awaitable[None]]) -> None:
    async def main() -> None:
        alarm = Alarm()
        try:
            await ask(alarm)
        finally:
            alarm.close()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


@pytest.fixture(params=["kernel's timer", "loop's timer"])
def timers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With timerfd where there is one, and as where there is none."""
    if request.param == "loop's timer":
        monkeypatch.setattr("bench.load.alarm.sys.platform", "darwin")


async def lateness_ns(alarm: Alarm, wait_ns: int) -> int:
    due_ns = time.perf_counter_ns() + wait_ns
    await alarm.until(due_ns)
    return time.perf_counter_ns() - due_ns


@pytest.mark.usefixtures("timers")
def test_it_returns_never_before_the_moment_and_mostly_right_after_it() -> None:
    late: list[int] = []

    async def ask(alarm: Alarm) -> None:
        for wait_ns in (1, 10_000, 100_000, 900_000, 3 * MS, 5 * MS + 7, 20 * MS) * 8:
            late.append(await lateness_ns(alarm, wait_ns))

    ringing(ask)
    assert min(late) >= 0
    assert sorted(late)[len(late) // 2] < 5 * MS, "a busy machine is late now and then, not every time"


@pytest.mark.usefixtures("timers")
def test_a_moment_that_has_passed_does_not_wait() -> None:
    async def ask(alarm: Alarm) -> None:
        begun_ns = time.perf_counter_ns()
        for _ in range(1000):
            await alarm.until(begun_ns)
            await alarm.until(0)
            await alarm.until(-(10**18))
        assert time.perf_counter_ns() - begun_ns < 1000 * MS

    ringing(ask)


@pytest.mark.usefixtures("timers")
def test_other_tasks_go_on_while_it_waits() -> None:
    async def ask(alarm: Alarm) -> None:
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.001)

        task = asyncio.create_task(turn())
        await lateness_ns(alarm, 100 * MS)
        task.cancel()
        assert turns > 10

    ringing(ask)


@pytest.mark.usefixtures("timers")
def test_a_wait_that_was_given_up_does_not_ring_for_the_next() -> None:
    async def ask(alarm: Alarm) -> None:
        for given_up_ms in (1, 5, 10):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(given_up_ms / 2000):
                    await alarm.until(time.perf_counter_ns() + given_up_ms * MS + 50 * MS)
            assert await lateness_ns(alarm, 80 * MS) >= 0
        soon = asyncio.create_task(alarm.until(time.perf_counter_ns() + 3 * MS))
        await asyncio.sleep(0)
        soon.cancel()
        await asyncio.wait({soon})
        time.sleep(0.006)  # noqa: ASYNC251  (it rings while the loop is busy, with nobody waiting)
        assert await lateness_ns(alarm, 30 * MS) >= 0

    ringing(ask)


def test_one_that_is_being_given_up_does_not_take_the_next_with_it() -> None:
    async def ask(alarm: Alarm) -> None:
        soon = asyncio.create_task(alarm.until(time.perf_counter_ns() + 300 * MS))
        await asyncio.sleep(0)
        soon.cancel()  # ends in the loop's next turn, when the next one waits already
        async with asyncio.timeout(1):
            await alarm.until(time.perf_counter_ns() + 30 * MS)

    ringing(ask)


def test_closing_gives_the_timer_back() -> None:
    async def main() -> None:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (ASYNC: not a file of ours)
        for _ in range(20):
            alarm = Alarm()
            await alarm.until(time.perf_counter_ns() + 1000)
            alarm.close()
            alarm.close()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208

    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        pytest.skip("needs /proc")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())
