"""What logs look like, and that no secret is in them."""

import io
import json
import logging
import os
import pty
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from streamd import logs
from streamd.logs import FORMER_SECRETS_KEPT_S, SecretMasker, configure, set_secrets

SECRET = "hunter2-hunter2"

log = structlog.get_logger("streamd.test")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("streamd")
    before = (root.handlers, root.level, own.level)
    yield
    logging.captureWarnings(False)
    root.handlers, root.level, own.level = before
    structlog.reset_defaults()
    logs._masker = SecretMasker()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure("json", "info", stream)
    return stream


def test_an_event_is_one_json_object_a_line(stream: io.StringIO) -> None:
    log.info("process.exited", name="target.youtube", status=-9, after_s=1.5, core=False, log=None)
    (event,) = lines(stream)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "process.exited",
        "level": "info",
        "name": "target.youtube",
        "status": -9,
        "after_s": 1.5,
        "core": False,
        "log": None,
    }


def test_a_file_gets_json_and_a_terminal_readable_lines() -> None:
    file = io.StringIO()
    configure("auto", "info", file)
    log.info("daemon.started", version="1")
    assert lines(file)[0]["version"] == "1"
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal, os.fdopen(leader, "rb") as seen:
        configure("auto", "info", terminal)
        log.info("daemon.started", version="1")
        terminal.flush()
        shown = os.read(seen.fileno(), 4096).decode()
    assert "daemon.started" in shown
    assert "\x1b[" in shown
    assert "{" not in shown


def test_console_lines_without_a_terminal_have_no_colours() -> None:
    stream = io.StringIO()
    configure("console", "info", stream)
    log.warning("config.rejected", error="config.yaml:3:1: wrong")
    assert "config.rejected" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_the_level_is_of_streamd_and_libraries_tell_warnings() -> None:
    stream = io.StringIO()
    configure("json", "debug", stream)
    log.debug("pass.made")
    logging.getLogger("aiohttp.access").info("GET /")
    logging.getLogger("asyncio").debug("Using selector")
    logging.getLogger("aiohttp.server").error("Error handling %s", "request")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    configure("json", "error", stream)
    log.warning("config.rejected")
    events = lines(stream)
    assert [event["event"] for event in events[:2]] == ["pass.made", "Error handling request"]
    assert events[1]["logger"] == "aiohttp.server"
    assert "old thing" in events[2]["event"]
    assert len(events) == 3


@dataclass
class Holder:
    """Something whose repr has a secret."""

    url: str


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"rtmp://host/app?secret={SECRET}&x=1",
        [f"a {SECRET}", 1],
        {"a": {"b": (SECRET,)}, SECRET: 1},
        {SECRET},
        Holder(f"x{SECRET}"),
        Path("/") / SECRET,
        ValueError(SECRET),
        SECRET.encode(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_secret_is_masked_in_any_value(log_format: str, value: object) -> None:
    stream = io.StringIO()
    configure(log_format, "info", stream)
    set_secrets([SECRET])
    log.bind(bound=value).info("x.happened", value=value, other="visible")
    assert "visible" in stream.getvalue()
    assert "***" in stream.getvalue()
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_secret_is_masked_in_errors_and_in_what_libraries_log(log_format: str) -> None:
    stream = io.StringIO()
    configure(log_format, "info", stream)
    set_secrets([SECRET])
    hidden = SECRET[::-1][::-1]
    try:
        raise ValueError(f"cannot open rtmp://{hidden}")
    except ValueError as error:
        log.exception("x.failed")
        log.error("x.failed_too", exc_info=error)
        logging.getLogger("aiohttp.server").exception("with %s", SECRET)
    text = stream.getvalue()
    assert text.count("Traceback") == 3
    assert "cannot open rtmp://***" in text
    assert "with ***" in text
    assert SECRET not in text


def test_a_secret_that_looks_like_a_level_breaks_no_line(stream: io.StringIO) -> None:
    set_secrets(["info", "event", "timestamp", '":'])
    log.info("x.happened")
    assert lines(stream)[0]["level"] == "info"


def test_what_was_a_secret_lately_still_is() -> None:
    masker = SecretMasker()

    def shown(text: str) -> object:
        return masker(None, "info", {"value": text})["value"]

    masker.set_secrets(["old-secret", "kept-secret"], 0)
    masker.set_secrets(["new-secret", "kept-secret"], 100)
    masker.set_secrets(["new-secret", "kept-secret"], 100 + FORMER_SECRETS_KEPT_S - 1)
    assert shown("old-secret new-secret kept-secret") == "*** *** ***"
    masker.set_secrets(["new-secret", "kept-secret"], 100 + FORMER_SECRETS_KEPT_S)
    assert shown("old-secret new-secret kept-secret") == "old-secret *** ***"


@given(
    st.lists(st.lists(st.sampled_from(["aaaa", "bbbb", "cccc"])), min_size=1),
    st.recursive(
        st.sampled_from(["aaaa", "xbbbbx", "cccc-aaaa", "free"]),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
    ),
)
def test_no_present_secret_is_left_in_any_structure(reloads: list[list[str]], value: Any) -> None:
    masker = SecretMasker()
    for number, secrets in enumerate(reloads):
        masker.set_secrets(secrets, number)
    shown = json.dumps(masker(None, "info", {"value": value})["value"])
    for secrets in reloads:  # all within the time for which former ones are kept
        assert not any(secret in shown for secret in secrets)
    assert shown.count("free") == json.dumps(value).count("free")


def test_fields_whose_names_are_secrets_are_all_there() -> None:
    masker = SecretMasker()
    masker.set_secrets(["aaaa"], 0)
    shown = masker(None, "info", {"value": {"aaaa": 1, "aaaa2": 2, "b": 3, "aaaa ": 4}})["value"]
    assert sorted(shown.values()) == [1, 2, 3, 4]
    assert "aaaa" not in str(shown)


def test_an_event_that_cannot_be_written_is_told_without_its_facts(stream: io.StringIO) -> None:
    class Stubborn:
        def __str__(self) -> str:
            raise RuntimeError(SECRET)

    log.info("x.happened", value=Stubborn(), other=SECRET)
    assert stream.getvalue().startswith("log.failed logger=streamd.test")
    assert SECRET not in stream.getvalue()


def test_a_reader_that_went_away_stops_nothing() -> None:
    program = """\
import structlog
from streamd.logs import configure
configure("json")
for _ in range(3):
    structlog.get_logger("streamd.test").info("x.happened", padding="x" * 100_000)
print("goes on")
"""
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        (sys.executable, "-c", program),
        stdout=subprocess.PIPE,
        stderr=writing,
        timeout=60,
        check=True,
    )
    os.close(writing)
    assert result.stdout == b"goes on\n"
