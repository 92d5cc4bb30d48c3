"""Addresses with name and password lead to the host that was meant, or are refused."""

import re
import string
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamd.config.addresses import parse_address
from streamd.config.load import load
from streamd.config.user_info import WRITE_ENCODED, find_user_info, misleading
from streamd.errors import ConfigError
from tests.unit.config.loading import NOW, SRS, load_text, problems_of, write

HOST = "meant.example"
UNFIT = f"`${{env:S}}` holds what cannot stand in name or password; {WRITE_ENCODED}"
RTMP_UNFIT = (
    "`${env:S}` holds what cannot stand in name or password; over RTMP they can hold no /, "
    "?, #, [ or ], not even as %2F: choose others"
)

# Every field that holds a whole address, with one that has a name and a password in it.
FIELDS = {
    "streams.a.source.url": "streams: {{a: {{source: {{url: '{}'}}}}}}\n",
    "streams.a.source.backup_url": (
        "streams: {{a: {{source: {{url: 'rtsp://h/x', backup_url: '{}'}}}}}}\n"
    ),
    "targets.t.url": "streams: {{a: {{keys: any}}}}\ntargets: {{t: {{stream: a, url: '{}'}}}}\n",
    "targets.t.backup_url": (
        "streams: {{a: {{keys: any}}}}\n"
        "targets: {{t: {{stream: a, url: 'rtmp://h/a/k', backup_url: '{}'}}}}\n"
    ),
    "callbacks.c.url": "callbacks: {{c: {{url: '{}', events: [on_stop]}}}}\n",
    "recordings.r.url": (
        "streams: {{a: {{keys: any}}}}\nrecordings: {{r: {{streams: [a], url: '{}'}}}}\n"
    ),
    "storages.s.url": "storages: {{s: {{url: '{}'}}}}\n",
    "storages.s.options.endpoint": (
        "storages: {{s: {{url: 's3://b', options: {{endpoint: '{}', region: r}}}}}}\n"
    ),
    "certificates.c.acme.directory": (
        "certificates: {{c: {{domains: [a.example.com], acme: {{directory: '{}'}}}}}}\n"
    ),
}

# Long pieces that no message holds by chance, with everything between them that ends something.
WORDS = ("longtailsecret", "hunterhunter", "zyzzyva")
PIECES = st.sampled_from([*WORDS, "1"])
ENDS = st.sampled_from(["@", ":", "/", "?", "#", "%", "%4", "%40", "[", "]", " ", "\\", "'", "ä"])
SECRETS = st.lists(PIECES | ENDS, min_size=1, max_size=8).map("".join)


def schemes_of(field: str) -> tuple[str, ...]:
    return {
        "streams": ("rtsp", "rtmp", "http", "srt"),
        "targets": ("rtmp", "rtmps", "srt"),
        "storages": ("webdav",) if field.endswith("s.url") else ("https",),
    }.get(field.partition(".")[0], ("https",))


ADDRESSES = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda field: st.tuples(st.just(field), st.sampled_from(schemes_of(field)))
)


@given(
    ADDRESSES, st.sampled_from(["u:${env:S}", "${env:S}:p", "${env:S}", "u:a${env:S}b"]), SECRETS
)
@example(("streams.a.source.url", "rtsp"), "u:${env:S}", "p@longtailsecret/yyyyyy")
@example(("streams.a.source.url", "rtsp"), "u:${env:S}", "pw/longtailsecret")
@example(("targets.t.url", "srt"), "u:${env:S}", "p@longtailsecret?x=1")
def test_whatever_a_secret_holds_the_host_is_as_written_or_the_address_is_refused(
    address: tuple[str, str], user_info: str, secret: str
) -> None:
    field, scheme = address
    text = FIELDS[field].format(f"{scheme}://{user_info}@{HOST}:1234/app/x")
    with tempfile.TemporaryDirectory() as directory:
        path = write(Path(directory), {"config.yaml": f"version: 1\n{text}"})
        try:
            loaded = load(
                path, environment={"S": secret}, credentials_directory=None, machine=SRS, now=NOW
            )
        except ConfigError as error:
            (problem,) = error.problems
            assert (problem.path, problem.line > 1, problem.column > 1) == (field, True, True)
            assert not any(word in problem.message for word in WORDS)
            return
    found: Any = loaded.data
    for step in field.split("."):
        found = found[step]
    assert urlsplit(found).hostname == HOST
    assert _host_of_ffmpeg(found) == f"{HOST}:1234"
    if field.startswith("targets"):
        assert parse_address(found).host == HOST


def _host_of_ffmpeg(url: str) -> str:
    """Return host and port as av_url_split of FFmpeg finds them."""
    authority = re.match("[^/?#]*", url.partition("://")[2])
    assert authority is not None
    return authority[0].rpartition("@")[2]


@given(
    st.sampled_from(["rtsp", "rtmps", "https", "srt"]),
    st.text(string.printable.replace("=", "")).map("a{}".format),
)
def test_a_password_that_stands_in_the_file_leads_nowhere_else_either(
    scheme: str, password: str
) -> None:
    url = f"{scheme}://u:{password}@{HOST}:1234/x"
    assert misleading(url) is not None or _host_of_ffmpeg(url) == f"{HOST}:1234"


@given(st.sampled_from(["rtsp", "http", "srt"]), st.text(), st.text())
def test_what_is_encoded_is_taken(scheme: str, name: str, password: str) -> None:
    name, password = quote(name, safe=""), quote(password, safe="")
    assert misleading(f"{scheme}://{name}:{password}@{HOST}/x") is None
    user_info = find_user_info(f"{scheme}://_:_____@{HOST}/x")
    assert user_info is not None
    assert user_info.fault(len(f"{scheme}://"), name) is None
    assert user_info.fault(len(f"{scheme}://_:"), password) is None


@given(st.text(string.printable), st.text(string.printable))
def test_without_name_and_password_anything_may_follow(path: str, query: str) -> None:
    for host in (HOST, f"{HOST}:8080", "[2001:db8::1]", "{app}.example"):
        assert misleading(f"rtmp://{host}/{path}?{query}") is None


@pytest.mark.parametrize(
    "url",
    [
        "rtmp://host/live/a@b",
        "rtsp://host:554/user@example.com/1",
        "srt://host:9000?streamid=#!::u=a@b,r=x",
        "srt://u:p@host:9000?mode=caller&streamid=#!::u=a@b/c",
        "http://u:p@host/x.m3u8?user=me@example.com",
        "rtmp://u:p@host/EntryPoint/stream@12345",
        "rtmp://u:p@host/EntryPoint/stream@12345?token=a/b",
        "rtsp://u:p@ss@host/x",
        "rtsp://u:a:b@host/x",
        "rtsp://u:p%40ss%2F@[2001:db8::1]:554/x",
        "rtmp://host:0x/live/a",
        "fs:///srv/a@b",
        "s3://bucket/a@b",
        "h/x@y",
        "",
    ],
)
def test_an_at_sign_that_means_nothing_is_let_through(url: str) -> None:
    assert misleading(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://u:p@longtailsecret/yyyyyy@127.0.0.1:21081/x",
        "rtsp://u:longtailsecret/yyyyyy@127.0.0.1:21081/x",
        "rtsp://u:123456/longtailsecret@host",
        "http://u:p@longtailsecret#y@host/x",
        "http://u:p@longtailsecret?y@host/x?a=b",
        "srt://u:p@longtailsecret/y@host:9000?streamid=x",
        "rtmp://u:p@longtailsecret/y@host/app/x",
        "RTMP://u:longtailsecret/y@host/app/x",
        "rtsp://u:longtail[secret@host/x",
    ],
)
def test_an_address_that_leads_elsewhere_is_refused_without_repeating_it(url: str) -> None:
    fault = misleading(url)
    assert fault is not None
    assert "longtail" not in fault
    assert ("over RTMP" in fault) == url.lower().startswith("rtmp")


@pytest.mark.parametrize(
    ("address", "secret", "message"),
    [
        ("rtsp://u:${env:S}@127.0.0.1:21081/x", "p@longtailsecret/yyyyyy", UNFIT),
        ("rtsp://u:${env:S}@127.0.0.1:21081/x", "pw/secretpart2", UNFIT),
        ("rtsp://u:${env:S}@h/x", "p@ss", UNFIT),
        ("rtsp://u:${env:S}@h/x", "100%", UNFIT),
        ("rtsp://u:${env:S}@h/x", "a[b]", UNFIT),
        ("rtsp://${env:S}:p@h/x", "do:main", UNFIT),
        ("srt://u:${env:S}@h:9/x", "a?b", UNFIT),
        ("rtmp://u:${env:S}@h/x/y", "a/b", RTMP_UNFIT),
        ("rtmp://u:${env:S}@h/x/y", "a[b", RTMP_UNFIT),
    ],
)
def test_a_secret_that_would_end_it_is_refused_at_its_place(
    tmp_path: Path, address: str, secret: str, message: str
) -> None:
    text = f"version: 1\nstreams:\n  a: {{source: {{url: '{address}'}}}}\n"
    assert problems_of(tmp_path, text, environment={"S": secret}) == [
        f"config.yaml:3:21: streams.a.source.url: {message}"
    ]


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("rtsp://u:${env:S}@h/x", "p%40longtailsecret%2Fyyyyyy"),
        ("rtsp://u:${env:S}@h/x", "a:b"),
        ("rtsp://${env:S}@h/x", "u:p"),
        ("rtmp://u:${env:S}@h/x/y", "p@50%"),  # FFmpeg's RTMP decodes nothing
        ("rtmp://h/x/${env:S}", "a@b/c?d#e"),
        ("rtsp://u:p@${env:S}", "h:554/x?y"),
        ("rtsp://h/x?user=${env:S}@b", "a@b/c?d#e"),
        ("${env:S}", "rtsp://u:p%40@h/x"),
        ("${env:S}://u:p@h/x", "rtsp"),
    ],
)
def test_what_leaves_the_host_alone_is_filled_in(tmp_path: Path, address: str, secret: str) -> None:
    text = f"version: 1\nstreams:\n  a: {{source: {{url: '{address}'}}}}\n"
    loaded = load_text(tmp_path, text, environment={"S": secret}, machine=None)
    source = loaded.config.streams["a"].source
    assert source is not None
    assert source.url is not None
    assert source.url.get_secret_value() == address.replace("${env:S}", secret)


def test_an_address_from_elsewhere_is_refused_as_one_in_the_file(tmp_path: Path) -> None:
    text = "version: 1\nstreams:\n  a: {source: {url: '${env:S}'}}\n"
    secret = "rtsp://u:p@longtailsecret/yyyyyy@127.0.0.1:21081/x"
    assert problems_of(tmp_path, text, environment={"S": secret}) == [
        "config.yaml:3:21: streams.a.source.url: has an @ behind its host, as where a /, ? or # "
        f"stands in name or password; {WRITE_ENCODED}, and any other @ as %40"
    ]
