"""Storages: where they are, what is wrong with them, and what has arrived there."""

import hashlib
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.archive.sent import Sent
from streamd.archive.storage import Storage, StorageError, Sums
from streamd.archive.storage_address import place_of, web_address
from streamd.archive.storage_words import explain

PART = 8
UUID = "0b0e4a7e-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("url", "options", "scheme", "told"),
    [
        ("s3://b/p/q", {}, "s3", {"bucket": "b", "root": "/p/q", "region": "us-east-1"}),
        ("s3://b", {"region": "eu-west-1"}, "s3", {"root": "/", "region": "eu-west-1"}),
        ("azblob://c/p", {}, "azblob", {"container": "c", "root": "/p"}),
        ("webdav://h/p", {}, "webdav", {"endpoint": "https://h", "root": "/p"}),
        ("webdav://h/p", {"endpoint": "http://x"}, "webdav", {"endpoint": "http://x"}),
        ("fs:///srv/rec/", {}, "fs", {"root": "/srv/rec"}),
        ("gcs://b/p", {}, "gcs", {"bucket": "b", "root": "/p"}),
    ],
)
def test_an_address_is_taken_apart_as_the_service_wants_it(
    url: str, options: dict[str, str], scheme: str, told: dict[str, str]
) -> None:
    place = place_of(url, options)
    assert place.scheme == scheme
    assert told.items() <= place.options.items()


def test_keys_of_the_file_are_the_only_ones() -> None:
    options = place_of("s3://b", {"access_key_id": "id"}).options
    assert options["disable_config_load"] == options["disable_ec2_metadata"] == "true"
    assert "disable_config_load" not in place_of("s3://b", {}).options


@pytest.mark.parametrize(
    ("url", "endpoint", "address"),
    [
        ("s3://b/p q", "https://s3.example.com/", "https://s3.example.com/b/p%20q"),
        ("s3://b/p", "", "https://b.s3.us-east-1.amazonaws.com/p"),
        ("s3://b", "", "https://b.s3.us-east-1.amazonaws.com"),
        ("cos://b/p", "https://cos.ap.myqcloud.com", "https://b.cos.ap.myqcloud.com/p"),
        ("oss://b/p", "oss-cn.aliyuncs.com", "https://b.oss-cn.aliyuncs.com/p"),
        ("gcs://b/p", "", "https://storage.googleapis.com/b/p"),
        ("azblob://c/p", "https://a.blob.core.windows.net", "https://a.blob.core.windows.net/c/p"),
        ("b2://b/p", "", "b2://b/p"),
        ("webdav://h/p", "", "https://h/p"),
        ("fs:///srv/rec/", "", "fs:///srv/rec"),
    ],
)
def test_what_is_there_has_an_address(url: str, endpoint: str, address: str) -> None:
    assert web_address(url, {"endpoint": endpoint} if endpoint else {}) == address


# What opendal 0.47 says, shortened.
_DENIED = (
    'PermissionDenied (permanent) at write => S3Error { code: "SignatureDoesNotMatch", message: '
    '"The signature does not match SECRET", resource: "" }\n\nContext:\n   uri: http://h/b?k=SECRET'
)
_AWAY = (
    "Unexpected (temporary) at write => send http request\n\nContext:\n   url: http://h/\n\n"
    "Source:\n   error sending request: tcp connect error: Connection refused\n\nBacktrace:\n   0:"
)


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("PermissionDenied", _DENIED, "SignatureDoesNotMatch: The signature does not match ***;"),
        ("PermissionDenied", _DENIED, "; correct the keys under `options`"),
        ("Unexpected", _AWAY, "send http request: error sending request: tcp connect error: Conn"),
        ("Unexpected", _AWAY, "; check `endpoint`, and this machine's network"),
        (
            "Unexpected",
            "Unexpected (temporary) at write => io operation timeout reached\n\nContext:\n",
            "io operation timeout reached; check `endpoint`",
        ),
        (
            "ConfigInvalid",
            'ConfigInvalid (permanent) at write => S3Error { code: "NoSuchBucket", message: "no" }',
            "NoSuchBucket: no; make the bucket",
        ),
        ("NotFound", "", "NotFound; see what"),
    ],
)
def test_a_refusal_says_what_is_wrong_what_to_do_and_no_secret(
    kind: str, text: str, told: str
) -> None:
    said = explain(kind, text, ["SECRET"])
    assert told in said
    assert "SECRET" not in said
    assert "Context" not in said


@given(sizes=st.lists(st.integers(0, 20), max_size=5))
def test_checksums_are_those_that_s3_tells_of_parts(sizes: list[int]) -> None:
    sums, whole = Sums(PART), b"".join(bytes([at]) * size for at, size in enumerate(sizes))
    position = 0
    for size in sizes:  # however it comes
        sums.add(whole[position : position + size])
        position += size
    parts = [whole[at : at + PART] for at in range(0, len(whole), PART)]
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    assert sums.is_known_by(f'"{hashlib.md5(digests).hexdigest()}-{len(parts)}"', "")
    assert sums.is_known_by(hashlib.md5(whole).hexdigest(), "")
    assert sums.is_known_by("", b64encode(hashlib.md5(whole).digest()).decode())
    assert not sums.is_known_by(hashlib.md5(whole + b"x").hexdigest(), "")
    assert not sums.is_known_by("", "")


def test_what_arrived_is_remembered_and_only_for_the_same_storage(tmp_path: Path) -> None:
    sent = Sent(tmp_path, "s3://b/p", "http://h")
    assert sent.of(UUID) == {}
    sent.add(UUID, "a,b.ts", 3)
    sent.add(UUID, "index.mp4", 5)
    assert Sent(tmp_path, "s3://b/p", "http://h").of(UUID) == {"a,b.ts": 3, "index.mp4": 5}
    other = Sent(tmp_path, "s3://b/p", "http://elsewhere")
    assert other.of(UUID) == {}
    other.add(UUID, "index.mp4", 5)
    assert sent.of(UUID) == {}
    other.forget(UUID)
    assert [*tmp_path.iterdir()] == []


def test_a_line_that_was_not_written_to_its_end_counts_for_nothing(tmp_path: Path) -> None:
    sent = Sent(tmp_path, "s3://b/p", "")
    sent.add(UUID, "a.ts", 3)
    path = tmp_path / f"{UUID}.sent"
    path.write_text(f"{path.read_text()}b.ts,1")
    assert sent.of(UUID) == {"a.ts": 3}


@pytest.mark.parametrize("link", [False, True])
async def test_a_recording_is_not_written_over_itself(tmp_path: Path, link: bool) -> None:
    recording = tmp_path / "rec" / "live" / "index.mp4"
    recording.parent.mkdir(parents=True)
    recording.write_bytes(b"media")
    (tmp_path / "link").symlink_to("rec")
    storage = Storage(f"fs://{tmp_path / ('link' if link else 'rec')}", {})
    (tmp_path / "link").unlink()  # a storage goes on writing to where it led at first
    with pytest.raises(StorageError, match="is the recording itself; give the storage a directory"):
        await storage.put(recording, "live/index.mp4", lambda _: None)
    assert recording.read_bytes() == b"media"
