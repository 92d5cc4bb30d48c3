"""Fixtures that every kind of test uses."""

import os
import shutil
from pathlib import Path

import pytest


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
