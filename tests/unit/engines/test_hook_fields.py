from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.engines.hook_fields import secrets_of_query


@pytest.mark.parametrize(
    ("query", "secrets"),
    [
        ("", ()),
        ("?", ()),
        ("?secret=k", ("k",)),
        ("secret=k", ("k",)),
        ("app=live&stream=cam&secret=k", ("k",)),
        ("?secret=a&x=1&secret=b", ("a", "b")),
        ("?secret=a?secret=a", ("a", "a")),
        ("?secret=a%26b%3D%C3%BC", ("a&b=ü",)),
        ("?secret=a+b", ("a+b",)),
        ("?secret=100%", ("100%",)),
        ("?secret=a=b", ("a=b",)),
        ("?secret", ("",)),
        ("?secrets=k&xsecret=k&SECRET=k", ()),
        ("?%73ecret=k", ("k",)),
    ],
)
def test_secrets_are_found(query: str, secrets: tuple[str, ...]) -> None:
    assert secrets_of_query(query) == secrets


@given(st.lists(st.text(), min_size=1))
def test_encoded_secrets_come_back(secrets: list[str]) -> None:
    try:
        query = "&".join(f"secret={quote(secret, safe='')}" for secret in secrets)
    except UnicodeEncodeError:  # a lone surrogate cannot be sent
        return
    assert secrets_of_query(query) == tuple(secrets)
