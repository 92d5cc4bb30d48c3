"""Fixtures that every kind of test uses."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more of who else uses the machine than of the code.
settings.register_profile("streamd", deadline=None)
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once for each reason, not for each test, what was not tested."""
    skipped = terminalreporter.stats.get("skipped", ())
    for reason, number in Counter(report.longrepr[2] for report in skipped).items():
        text = reason.removeprefix("Skipped: ")
        terminalreporter.write_sep("=", f"{number} skipped: {text}", yellow=True, bold=True)
