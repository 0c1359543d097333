"""Stamps: the kernel's, on our clock; a stepped wall clock becomes a stamp of the read, never a latency."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.client.stamps import NOISE_NS, SO_TIMESTAMPNS, Stamper, kernel_ns

EPOCH_NS = 1_800_000_000 * 10**9
MS = 1_000_000


class Clocks:
    """A world in which time passes only when told, and the wall clock can be stepped."""

    def __init__(self) -> None:
        self.now_ns = 50 * MS
        self.step_ns = 0
        self.interrupted_ns = 0

    def monotonic(self) -> int:
        return self.now_ns

    def wall(self) -> int:
        interrupted, self.interrupted_ns = self.interrupted_ns, 0
        self.now_ns += interrupted
        return EPOCH_NS + self.now_ns + self.step_ns

    def stamper(self) -> Stamper:
        return Stamper(self.monotonic, self.wall)

    def arrival(self) -> int:
        """The kernel's stamp of bytes that arrive now."""
        return EPOCH_NS + self.now_ns + self.step_ns


def test_a_late_read_does_not_move_the_stamp() -> None:
    clocks = Clocks()
    stamper = clocks.stamper()
    sent_ns = stamper.start()
    clocks.now_ns += 30 * MS
    kernel = clocks.arrival()
    clocks.now_ns += 400 * MS
    assert stamper.arrived(kernel) - sent_ns == 30 * MS
    assert (stamper.source, stamper.lag_max_ns) == ("kernel", 400 * MS)


@pytest.mark.parametrize("step_ms", [-3_600_000, -25, -5, 5, 25, 3_600_000])
@pytest.mark.parametrize("before_arrival", [True, False])
def test_a_step_of_the_wall_clock_never_becomes_a_latency(step_ms: int, before_arrival: bool) -> None:
    clocks = Clocks()
    stamper = clocks.stamper()
    sent_ns = stamper.start()
    clocks.now_ns += 20 * MS
    if before_arrival:
        clocks.step_ns += step_ms * MS
    clocks.now_ns += 10 * MS
    kernel = clocks.arrival()
    clocks.now_ns += 4 * MS
    if not before_arrival:
        clocks.step_ns += step_ms * MS
    stamp = stamper.arrived(kernel)
    assert (stamp - sent_ns, stamper.source) == (34 * MS, "read")
    clocks.now_ns += 10 * MS
    kernel = clocks.arrival()
    clocks.now_ns += MS
    assert stamper.arrived(kernel) - sent_ns == 44 * MS
    assert stamper.source == "read"
    stamper.start()
    clocks.now_ns += MS
    stamper.arrived(clocks.arrival())
    assert stamper.source == "kernel"


def test_a_step_within_the_noise_moves_a_stamp_by_no_more_than_the_noise() -> None:
    clocks = Clocks()
    stamper = clocks.stamper()
    sent_ns = stamper.start()
    clocks.now_ns += 10 * MS
    kernel = clocks.arrival()
    clocks.step_ns += NOISE_NS // 2
    assert abs(stamper.arrived(kernel) - sent_ns - 10 * MS) <= NOISE_NS


def test_an_interrupted_sample_is_taken_again() -> None:
    clocks = Clocks()
    stamper = clocks.stamper()
    sent_ns = stamper.start()
    clocks.now_ns += 10 * MS
    kernel = clocks.arrival()
    clocks.interrupted_ns = 8 * MS
    assert stamper.arrived(kernel) - sent_ns == 10 * MS
    assert stamper.source == "kernel"


def test_bytes_without_a_kernel_stamp_are_stamped_when_read() -> None:
    clocks = Clocks()
    stamper = clocks.stamper()
    sent_ns = stamper.start()
    clocks.now_ns += 3 * MS
    assert (stamper.arrived(None) - sent_ns, stamper.source, stamper.lag_max_ns) == (3 * MS, "read", 0)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 50 * MS),
            st.integers(0, 50 * MS),
            st.sampled_from([0, 0, 0, 1, -1]),
            st.integers(0, 10**13),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_stamps_never_go_back_and_never_run_ahead(reads: list[tuple[int, int, int, int, bool]]) -> None:
    clocks = Clocks()
    stamper = clocks.stamper()
    last = stamper.start()
    for wait_ns, lag_ns, sign, step_ns, stamped in reads:
        clocks.now_ns += wait_ns
        kernel = clocks.arrival() if stamped else None
        arrived_ns = clocks.now_ns
        clocks.now_ns += lag_ns
        clocks.step_ns += sign * step_ns
        stamp = stamper.arrived(kernel)
        assert last <= stamp <= clocks.now_ns
        assert stamp >= arrived_ns - NOISE_NS or not stamped
        last = stamp


def test_a_kernel_stamp_that_is_not_to_be_used_still_tells_how_late_the_read_was() -> None:
    """TLS: the stamp is that of the read, and its lateness is known."""
    clocks = Clocks()
    stamper = clocks.stamper()
    stamper.start()
    clocks.now_ns += 10 * MS
    kernel = clocks.arrival()
    clocks.now_ns += 7 * MS
    assert stamper.arrived(kernel, use=False) == clocks.now_ns
    assert (stamper.source, stamper.lag_max_ns) == ("read", 7 * MS)


def test_the_control_message_is_found_among_others() -> None:
    stamp = struct.pack("=qq", 7, 9)
    assert kernel_ns([(1, 2, b"x"), (1, SO_TIMESTAMPNS, stamp)]) == 7_000_000_009
    assert kernel_ns([(1, SO_TIMESTAMPNS, b"short")]) is kernel_ns([]) is None
