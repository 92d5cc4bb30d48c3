"""Fixtures that every kind of test uses."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import settings

from tests.support.app import App, app
from tests.support.streamd import LOST

_AGAIN = "run again"

# How long an example takes says more of who else uses the machine than of the code.
# In CI the examples are the same each time, so that a run speaks of the change alone; whoever works
# on the project tries new ones with every run.
settings.register_profile("streamd", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("streamd")


@pytest.fixture(scope="session")
def srs_binary() -> Path:
    """The real SRS, or a skip that says what was not tested."""
    named = os.environ.get("STREAMD_TEST_SRS")
    if named:
        assert os.access(named, os.X_OK), f"STREAMD_TEST_SRS={named} is not an executable file"
        return Path(named)
    found = shutil.which("srs", path=f"{os.environ.get('PATH', '')}:/usr/local/srs/objs")
    if found is None:
        pytest.skip("NOT TESTED: no SRS binary (STREAMD_TEST_SRS, PATH, /usr/local/srs/objs/srs)")
    return Path(found)


@pytest.fixture
def hook() -> Iterator[App]:
    """Somebody's server that callbacks are sent to."""
    with app() as made:
        yield made


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test once more that failed for a reason which may lie outside the project.

    One reason is a stream that SRS has lost. That is a fault of SRS 6 which streamd mends by
    disconnecting the encoder (`streamd.auditions`). A real one comes back; those of the tests do
    not, because most tests want to see whether somebody disconnected them.

    The other is a machine of CI that others use too, on which one of hundreds of tests with real
    programs or clocks may see things in an order that no wait of it expects. A fault of the project
    fails twice; one that does not is a fault still, so that the summary shows how the first run
    failed.
    """
    lost = len(LOST)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    if any(report.failed for report in reports) and (any(LOST[lost:]) or "CI" in os.environ):
        first = "\n".join(map(_told_by, reports))
        item._initrequest()  # type: ignore[attr-defined] # as runners of flaky tests do
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        for report in reports:
            report.user_properties.append((_AGAIN, [item.nodeid, any(LOST[lost:]), first]))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _told_by(report: pytest.TestReport) -> str:
    return "\n".join((report.longreprtext, *(text for _, text in report.sections)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was run twice, and once for each reason, not for each test, what was not tested."""
    ended = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    again = {
        tuple(told) for report in ended for what, told in report.user_properties if what == _AGAIN
    }
    for name, lost, first in sorted(again):
        text = f"run twice{', because SRS lost a stream' if lost else ''}: {name}"
        terminalreporter.write_sep("=", text, yellow=True, bold=True)
        if not lost:
            terminalreporter.write_line(first)
    skipped = terminalreporter.stats.get("skipped", ())
    for reason, number in Counter(report.longrepr[2] for report in skipped).items():
        text = reason.removeprefix("Skipped: ")
        terminalreporter.write_sep("=", f"{number} skipped: {text}", yellow=True, bold=True)
