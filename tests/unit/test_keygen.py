import hashlib
import re

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from streamd import names
from streamd.config.models import Config
from streamd.errors import StreamdError
from streamd.keygen import keygen_text, new_key
from tests.support.snapshots import DESIRED

SECRET = "0123456789abcdef" * 2


def pasted(text: str) -> Config:
    """Read what is to be pasted, as a file of its own."""
    shown = text.partition("# In the file:\n")[2].partition("\n\n")[0]
    return Config.model_validate({"version": 1, **yaml.safe_load(shown)})


def test_a_secret_is_32_hex_digits_and_new_each_time() -> None:
    made = {new_key("show").secret for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch("[0-9a-f]{32}", secret) for secret in made)


@given(st.from_regex(r"\A[A-Za-z0-9_*][A-Za-z0-9_.~=+@,:*-]{0,60}(/[A-Za-z0-9_*]{1,60})?\Z"))
@example("live/*")
@example("live/a/b")
@example("live/show")
@example("true")
@example("1e5")
def test_what_is_printed_can_be_pasted(stream: str) -> None:
    config = pasted(keygen_text(stream, None, SECRET))
    ((name, key),) = config.keys.items()
    assert key.secret is not None
    assert key.secret.get_secret_value() == SECRET
    ((pattern, rule),) = config.streams.items()
    assert names.full_name(pattern) == names.full_name(stream)
    assert rule.keys == (name,)


def test_the_digest_is_of_the_secret() -> None:
    text = keygen_text("show", None, SECRET)
    assert f"secret_sha256: {hashlib.sha256(SECRET.encode()).hexdigest()}" in text


def test_a_taken_name_is_not_given_again() -> None:
    assert new_key("studio").name == "studio"
    assert new_key("studio", DESIRED).name == "studio-2"


def test_the_keys_that_a_stream_has_are_kept() -> None:
    rule = pasted(keygen_text("show", DESIRED, SECRET)).streams["show"]
    assert rule.keys == ("studio", "show")


def test_a_stream_of_a_pattern_gets_its_key_at_the_pattern() -> None:
    assert list(pasted(keygen_text("rooms/alice", DESIRED, SECRET)).streams) == ["rooms/*"]


def test_the_addresses_hold_the_new_secret_and_no_other_key() -> None:
    text = keygen_text("show", DESIRED, SECRET)
    assert f"rtmp://live.example.com/live/show?secret={SECRET}" in text
    assert "<studio>" not in text


def test_a_stream_that_is_not_in_the_file_has_addresses_too() -> None:
    text = keygen_text("new/one", DESIRED, SECRET)
    assert f"rtmp://live.example.com/new/one?secret={SECRET}" in text


def test_what_cannot_be_a_stream_is_refused() -> None:
    with pytest.raises(StreamdError, match="is not a stream name"):
        keygen_text("a b")


def test_a_secret_is_not_in_the_repr() -> None:
    assert SECRET not in repr(new_key("show", None, SECRET))
