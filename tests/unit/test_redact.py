from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.redact import Redactor, address_secrets, redact_text, redact_url, redact_urls

# The mask itself is left out of the alphabet: a secret `***` would be found in every result.
words = st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=4)


def test_masks_every_occurrence() -> None:
    assert Redactor(["s3cret"])("a s3cret and s3cret!") == "a *** and ***!"


def test_text_without_a_secret_is_returned_as_it_is() -> None:
    assert Redactor(["s3cret"])("rtmp://host/app") == "rtmp://host/app"


def test_no_secrets_mask_nothing() -> None:
    assert Redactor(["", ""])("as it was") == "as it was"


def test_the_longest_secret_wins_so_that_no_rest_is_left() -> None:
    assert Redactor(["abcd", "abcd-more"])("key=abcd-more") == "key=***"


def test_overlapping_secrets_are_masked_whole() -> None:
    assert Redactor(["abcdef", "defghi"])("<abcdefghi>") == "<***>"


def test_secrets_side_by_side_are_masked() -> None:
    assert Redactor(["abcd", "wxyz"])("abcdwxyz.") == "***."


@pytest.mark.parametrize("encoded", ["a%26b%3Dc%2Fd", "a%26b%3dc%2fd", "a&b%3dc/d", "a%26b=c%2Fd"])
def test_percent_encoded_forms_are_masked(encoded: str) -> None:
    assert Redactor(["a&b=c/d"])(f"?key={encoded} end") == "?key=*** end"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/live/ab", "/live/***"),
        ("?key=ab&x=1", "?key=***&x=1"),
        ("about tabs", "about tabs"),
        ("ab", "***"),
    ],
)
def test_a_short_secret_is_masked_only_where_it_stands_alone(text: str, expected: str) -> None:
    assert Redactor(["ab"])(text) == expected


@given(st.lists(words, min_size=1, max_size=4), st.lists(st.text(max_size=8), max_size=4))
def test_no_secret_survives(secrets: list[str], between: list[str]) -> None:
    text = "".join(
        piece
        for index, secret in enumerate(secrets)
        for piece in (
            *between[index : index + 1],
            secret,
            quote(secret, safe=""),
            quote_plus(secret),
        )
    )

    masked = Redactor(secrets)(text)

    assert not [secret for secret in secrets if secret in masked]
    assert not [secret for secret in secrets if quote(secret, safe="") in masked]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtmp://h/app/KEY", "rtmp://h/app/***"),
        ("rtmp://h:1936/app/KEY?x=y", "rtmp://h:1936/app/***?x=***"),
        ("rtmp://h/a/b/KEY", "rtmp://h/a/b/***"),
        ("rtmp://h/app", "rtmp://h/app"),
        ("rtmp://h/app/", "rtmp://h/app/"),
        ("rtmp://h/app/?streamname=S&key=K", "rtmp://h/app/?streamname=***&key=***"),
        ("rtmp://h/app?auth=T/KEY", "rtmp://h/app?auth=***"),
        ("rtmps://user:pass@h:443/app/KEY", "rtmps://***@h:443/app/***"),
        ("rtmp://[2001:db8::1]:1935/app/KEY", "rtmp://[2001:db8::1]:1935/app/***"),
        ("srt://h:9000?streamid=S&passphrase=P&m", "srt://h:9000?streamid=***&passphrase=***&***"),
        ("srt://h:9000?streamid=#!::r=live/x,secret=z", "srt://h:9000?streamid=***"),
        ("http://h:8080/live/x.flv", "http://h:8080/live/***"),
        ("KEY", "***"),
        ("secret stuff://host/app", "***"),
    ],
)
def test_an_address_keeps_what_is_public(url: str, expected: str) -> None:
    assert redact_url(url) == expected


@given(
    st.from_regex(r"[A-Z]{6}", fullmatch=True),
    st.sampled_from(
        [
            "rtmp://h/app/{}",
            "rtmp://u:{}@h/app/k",
            "rtmps://h/app/k?sig={}",
            "srt://h:1?streamid={}",
            "{}",
        ]
    ),
)
def test_a_key_never_survives_in_an_address(key: str, form: str) -> None:
    assert key not in redact_url(form.format(key))


def test_what_is_presented_as_a_secret_is_masked_though_it_is_unknown() -> None:
    line = 'tcUrl=rtmp://h/live, stream=show?secret=a-guess&x=1, {"param":"?secret=b"}'
    assert Redactor(())(line) == (
        'tcUrl=rtmp://h/live, stream=show?secret=***&x=1, {"param":"?secret=***"}'
    )


def test_what_the_group_of_a_pattern_takes_is_masked() -> None:
    redact = Redactor(["s3cret"], [r'"name":"([^"]*)', r"at (\S*)$"])
    assert redact('{"name":"a s3cret b","x":"y"} at /home') == '{"name":"***","x":"y"} at ***'
    assert redact('{"name":""}') == '{"name":""}'


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("rtmp://h/app", set()),
        ("rtmp://h/app/KEY", {"KEY"}),
        ("rtmps://h/app/KEY/", {"KEY"}),
        ("rtmp://h/app?auth=T/KEY", {"KEY", "T", "T/KEY"}),
        ("rtmp://h/app/?key=K", {"?key=K", "K"}),
        ("rtmp://h", set()),
        ("rtsp://user:p%40ss@h/cam?channel=1", {"user:p%40ss", "p%40ss", "user:p@ss", "p@ss"}),
        ("srt://h:1?streamid=S&passphrase=P&latency=120", {"S", "P"}),
        ("https://h/live/cam.m3u8?sign=0123456789&x=1&Token=t", {"0123456789", "t"}),
        ("https://h/cam?0123456789&on", {"0123456789"}),
        ("KEY", set()),
    ],
)
def test_the_secrets_of_an_address_are_what_lets_somebody_in(url: str, secrets: set[str]) -> None:
    assert set(address_secrets(url)) == secrets


def test_the_secrets_of_an_address_come_longest_first() -> None:
    assert address_secrets("rtsp://user:pass@h/cam?key=k") == ("user:pass", "pass", "k")


def test_with_flags_all_that_an_address_is_shown_without_is_secret() -> None:
    url = "https://h/live/cam.m3u8?x=1&on&empty="
    assert set(address_secrets(url, with_flags=True)) == {"cam.m3u8", "1", "on"}
    assert redact_url(url) == "https://h/live/***?x=***&***&empty="


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'rtmp://h/app/KEY': no", "'rtmp://h/app/***': no"),
        ("from HTTPS://u:p@h/a to srt+x://h:1?a=b.", "from HTTPS://***@h/a to srt+x://h:1?a=***."),
        ("<rtmp://h/app/KEY<KEY>", "<rtmp://h/app/***"),
        ("nothing: to/hide", "nothing: to/hide"),
    ],
)
def test_every_address_in_a_text_is_redacted(text: str, expected: str) -> None:
    assert redact_urls(text) == expected


def test_a_message_is_shown_without_the_secrets_of_its_addresses() -> None:
    message = "rtmp://h/app/KEY: KEY refused, and {stream}"
    assert redact_text(message) == "rtmp://h/app/***: KEY refused, and {stream}"
    addresses = ("rtmp://h/app/KEY", "rtmp://h/app/{stream}")
    assert redact_text(message, *addresses) == "rtmp://h/app/***: *** refused, and {stream}"
