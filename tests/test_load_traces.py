"""Recorded loads: the three ways they are written, and files that are none."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import ConfigError
from bench.load.traces import Trace, read

AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 18:17:04.0781010,110,27
2023-11-17 00:00:00.0000000,7433,14
"""
MOONCAKE = """\
{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}
{"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46, 47, 48]}
"""
PLAIN = "arrival_s,in_tokens,out_tokens\n10,100,20\n10,50,5\n10.25,7,1\n"


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(raw: str | bytes) -> Path:
        path = tmp_path / "day.csv"
        path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
        return path

    return write


def refused(path: Path) -> str:
    """What is said of a file that is no trace: one line that names it."""
    with pytest.raises(ConfigError) as told:
        read(path)
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(f"trace {path}: ")
    return str(told.value)


def test_dates_with_seven_decimals_are_read_to_the_microsecond(written: Callable[..., Path]) -> None:
    trace = read(written(AZURE))
    to_midnight_s = 5 * 3600 + 42 * 60 + 56.020040
    assert trace.due_ns[0] == 0
    assert [at / 1e9 for at in trace.due_ns] == pytest.approx([0, 0.052, 0.098141, to_midnight_s], abs=1e-6)
    assert trace.lengths == ((4808, 10), (3180, 8), (110, 27), (7433, 14))
    assert (trace.name, trace.rate_rps) == ("day.csv", pytest.approx(3 / to_midnight_s))


def test_lines_with_input_length_are_in_milliseconds(written: Callable[..., Path]) -> None:
    trace = read(written(MOONCAKE))
    assert trace == Trace(name="day.csv", due_ns=(0, 3_053_000_000), lengths=((6955, 52), (6472, 26)))
    assert trace.duration_s == 3.053


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\n\n"),
        "Time ,PROMPT_TOKENS, completion_tokens,note\n10,100,20,x\n10,50,5\n10.25,7.0,1,x,y\n",
        '{"time": 10, "in_tokens": 100, "out_tokens": 20}\n\n{"time": 10, "in_tokens": 50, "out_tokens": 5}\n'
        '{"time": 10.25, "in_tokens": 7, "out_tokens": 1}',
    ],
    ids=["plain", "byte order mark", "crlf", "blank lines", "other names", "json lines"],
)
def test_seconds_are_read_however_the_file_was_saved(text: str, written: Callable[..., Path]) -> None:
    trace = read(written(text))
    assert trace == Trace(name="day.csv", due_ns=(0, 0, 250_000_000), lengths=((100, 20), (50, 5), (7, 1)))


@pytest.mark.parametrize(
    "text", ["timestamp\n1\n3\n", "timestamp,in_tokens\n1,5\n3,6\n", "timestamp,in_tokens,out_tokens\n1,5,6\n3,,6\n"]
)
def test_lengths_that_are_not_all_there_are_left_out(text: str, written: Callable[..., Path]) -> None:
    assert read(written(text)) == Trace(name="day.csv", due_ns=(0, 2_000_000_000), lengths=())


@pytest.mark.parametrize("text", ["timestamp\n5\n", "timestamp\n5\n5\n"])
def test_requests_all_at_once_have_a_rate_all_the_same(text: str, written: Callable[..., Path]) -> None:
    assert (read(written(text)).duration_s, read(written(text)).rate_rps) == (0, 1.0)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("", "no rows"),
        ("\n\n", "no rows"),
        ("timestamp,in_tokens,out_tokens\n", "no rows"),
        (b"PK\x03\x04\x14\x00\x00", "no rows"),
        (b"\x00\x01\x02\xff\xfe", "it is not text"),
        ("timestamp\n1\n".encode("utf-16"), "it is not text"),
        ("start,in_tokens,out_tokens\n1,2,3\n", "no column of time; name one of timestamp, arrival_s, time"),
        ('[{"timestamp": 1}]\n{}\n', "no column of time"),
        ('{"timestamp": 1}\n{"timestamp": \n', "line 2 is not JSON"),
        ('{"timestamp": 1}\n[2]\n', "line 2 is not an object"),
        ("timestamp\n1\nsoon\n", "line 3: 'soon' is neither seconds nor a date"),
        ("timestamp\n1\n''\n", "line 3"),
        ("timestamp\n2023-13-01\n", "'2023-13-01' is neither seconds nor a date"),
        ('{"timestamp": null}\n', "None is neither seconds nor a date"),
        ("timestamp\n5\n4\n6\n", "sort the file by time"),
        ("timestamp,in_tokens,out_tokens\n1,-5,3\n", "line 2: '-5' is no number of tokens"),
        ("timestamp,in_tokens,out_tokens\n1,5,0\n", "'0' is no number of tokens"),
        ("timestamp,in_tokens,out_tokens\n1,nan,3\n", "'nan' is no number of tokens"),
        ("timestamp,in_tokens,out_tokens\n1,5,inf\n", "'inf' is no number of tokens"),
        ("timestamp,in_tokens,out_tokens\n1,many,3\n", "'many' is no number of tokens"),
        ('{"timestamp": 1, "in_tokens": [5], "out_tokens": 3}\n', "[5] is no number of tokens"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_in_a_line(
    raw: str | bytes, said: str, written: Callable[..., Path]
) -> None:
    assert said in refused(written(raw))


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "nothing.csv")
    assert "directory" in refused(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "timestamp\nnan\n1\n",
        "timestamp\n0\nnan\n",
        "timestamp\n0\ninf\n",
        "timestamp\n0\n1e300\n",
        '{"timestamp": NaN}\n',
        '{"timestamp": 0}\n{"timestamp": Infinity}\n',
        '{"timestamp": 1%s}\n' % ("0" * 400),
    ],
    ids=["nan first", "nan", "inf", "1e300", "json NaN", "json Infinity", "json 1e400"],
)
def test_a_time_that_is_no_time_is_refused(text: str, written: Callable[..., Path]) -> None:
    assert "timestamp" in refused(written(text)) or "line" in refused(written(text))


def test_a_field_of_a_quarter_megabyte_is_refused(written: Callable[..., Path]) -> None:
    refused(written("timestamp\n" + "1" * 250_000 + "\n"))


def test_json_nested_beyond_all_reason_is_refused(written: Callable[..., Path]) -> None:
    refused(written('{"timestamp": ' + "[" * 100_000 + "\n"))


def test_a_prompt_longer_than_any_context_is_refused(written: Callable[..., Path]) -> None:
    refused(written("timestamp,in_tokens,out_tokens\n0,1e300,5\n"))


def test_a_bad_row_of_json_lines_is_named_by_its_line(written: Callable[..., Path]) -> None:
    assert "2: 'x' is neither" in refused(written('{"timestamp": 0}\n{"timestamp": "x"}\n'))


def test_an_unsorted_row_is_named_by_the_number_other_bad_rows_have(written: Callable[..., Path]) -> None:
    assert "line 3 comes before the one above it" in refused(written("timestamp\n5\n4\n"))
    assert "line 3: 'x'" in refused(written("timestamp\n5\nx\n"))


@pytest.mark.parametrize("digits", [4, 5, 6, 7])
def test_dates_with_a_zone_are_read_whatever_their_decimals(digits: int, written: Callable[..., Path]) -> None:
    # The cut leaves "+0", "+", "", "" of the zone of the second row, and all of that of the first.
    second = f"2024-05-10 02:00:01.{'5000000'[:digits]}+02:00"
    trace = read(written(f"timestamp\n2024-05-10 00:00:00+00:00\n{second}\n"))
    assert trace.due_ns == pytest.approx((0, 1_500_000_000), abs=1000)


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("new_york")
def test_a_trace_is_the_same_wherever_it_is_read(written: Callable[..., Path]) -> None:
    trace = read(written("timestamp\n2024-03-10 01:59:59\n2024-03-10 03:00:01\n"))
    assert trace.due_ns == (0, 3_602_000_000_000)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**10), st.integers(1, 10**6), st.integers(1, 10**5)), min_size=1, max_size=20)
)
def test_what_was_written_in_milliseconds_is_read_to_the_nanosecond(
    tmp_path: Path, rows: list[tuple[int, int, int]]
) -> None:
    rows = sorted(rows)
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(f'{{"timestamp": {at}, "input_length": {i}, "output_length": {o}}}\n' for at, i, o in rows))
    trace = read(path)
    assert trace.due_ns == pytest.approx([(at - rows[0][0]) * 1_000_000 for at, _, _ in rows], abs=2)
    assert trace.lengths == tuple((i, o) for _, i, o in rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_a_trace_or_a_config_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "bytes.csv"
    path.write_bytes(b"timestamp,in_tokens\n" + raw)
    try:
        trace = read(path)
    except ConfigError as told:
        assert str(path) in str(told)  # noqa: PT017
    else:
        assert trace.due_ns[0] == 0
