import pytest

from streamd.desired import EngineName
from streamd.doctor.host import (
    Clock,
    OpenFiles,
    judge_clock,
    judge_kernel,
    judge_server_limit,
    judge_supervisor_limit,
)

MANY = OpenFiles(65_536, 1_048_576)


@pytest.mark.parametrize(
    ("engine", "told", "given", "level"),
    [
        ("srs", MANY, MANY, "ok"),
        ("srs", OpenFiles(1024, 1024), MANY, "warning"),
        ("srs", OpenFiles(100, 129), MANY, "error"),
        ("srs", OpenFiles(1024, 65_536), OpenFiles(1024, 4096), "error"),
        ("nginx-rtmp", MANY, MANY, "ok"),
        ("nginx-rtmp", OpenFiles(1024, 1_048_576), MANY, "warning"),
        ("nginx-rtmp", MANY, OpenFiles(1024, 4096), "warning"),
    ],
)
def test_the_limit_that_counts_is_the_engines_own(
    engine: EngineName, told: OpenFiles, given: OpenFiles, level: str
) -> None:
    found = judge_server_limit("main", engine, told, given, "streamd")
    assert (found.where, found.level) == ("servers.main", level)


def test_connections_are_what_the_server_is_told() -> None:
    found = judge_server_limit("main", "srs", OpenFiles(1, 20_129), MANY, "this shell")
    assert found.what == "this shell may open 20129 files: 20000 connections at most"


def test_each_process_takes_two_descriptors_of_supervisord() -> None:
    given = OpenFiles(64, 64 + 2 * 10)
    assert judge_supervisor_limit(given, 10, "supervisord").level == "ok"
    assert judge_supervisor_limit(given, 11, "supervisord").level == "error"


def test_a_clock_that_nobody_keeps_right_is_a_warning_that_names_the_keys() -> None:
    assert judge_clock(Clock(True, 0.025), ["new"]).what == "is kept right, to 25 ms at worst"
    found = judge_clock(Clock(False, 16.0), ["old", "new"])
    assert found.level == "warning"
    assert "keys old, new begin or end by it" in found.what
    assert "keys" not in judge_clock(Clock(False, 16.0), []).what


@pytest.mark.parametrize(
    ("wmem_max", "rate", "level"),
    [(65_536, 7, "warning"), (212_992, 22, "ok"), (262_144, 27, "ok"), (4_194_304, 27, "ok")],
)
def test_the_send_buffer_bounds_a_targets_bit_rate(wmem_max: int, rate: int, level: str) -> None:
    (found,) = judge_kernel(wmem_max)
    assert found.level == level
    assert f"{rate} Mb/s" in found.what
