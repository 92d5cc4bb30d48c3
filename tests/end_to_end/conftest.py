"""One daemon and one receiver for each test, on either engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.receiver import Receiver, receiver
from tests.support.streamd import Streamd, streamd


@pytest.fixture(params=["nginx-rtmp", pytest.param("srs", marks=pytest.mark.srs)])
def engine(request: pytest.FixtureRequest) -> str:
    """Both engines, the real ones."""
    if request.param == "srs":
        request.getfixturevalue("srs_binary")
    return str(request.param)


@pytest.fixture
def daemon(engine: str) -> Iterator[Streamd]:
    """A streamd that is not started yet."""
    with streamd(engine) as made:
        yield made


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Receiver]:
    """A real RTMP server that targets send to, with the app `in`."""
    with receiver(tmp_path, "in") as running:
        yield running
