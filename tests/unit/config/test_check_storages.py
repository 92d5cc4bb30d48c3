"""What is wrong with the options of storages."""

from pathlib import Path

import pytest

from tests.unit.config.loading import load_text, problems_of

HEAD = (
    "version: 1\nstreams: {a: {keys: any}}\n"
    "recordings: {r: {streams: [a], upload: cloud}}\nstorages:\n  cloud: "
)


@pytest.mark.parametrize(
    "storage",
    [
        "{url: 's3://b/p', options: {endpoint: 'https://h', access_key_id: a, "
        "secret_access_key: b, region: r}}",
        "{url: 'cos://b', options: {endpoint: 'https://h', secret_id: a, secret_key: b}}",
        "{url: 'oss://b', options: {endpoint: 'https://h', access_key_id: a, "
        "access_key_secret: b}}",
        "{url: 'obs://b', options: {endpoint: 'https://h', access_key_id: a, "
        "secret_access_key: b}}",
        "{url: 'gcs://b', options: {credential: abc}}",
        "{url: 'azblob://c', options: {endpoint: 'https://h', account_name: a, account_key: eA==}}",
        "{url: 'b2://b', options: {bucket_id: i, application_key_id: a, application_key: b}}",
        "{url: 'webdav://h/p', options: {username: a, password: b}}",
        "{url: 'fs:///srv/x'}",
    ],
)
def test_each_service_is_taken_with_what_it_asks_for(tmp_path: Path, storage: str) -> None:
    assert load_text(tmp_path, f"{HEAD}{storage}\n").warnings == ()


@pytest.mark.parametrize(
    ("storage", "problem"),
    [
        (
            "{url: 's3://b', options: {acces_key_id: a}}",
            "cloud.options.acces_key_id: is no option of s3; did you mean access_key_id?",
        ),
        (
            "{url: 'webdav://h', options: {zzz: a}}",
            "cloud.options.zzz: is no option of webdav; there are ",
        ),
        (
            "{url: 's3://b', options: {bucket: b}}",
            "cloud.options.bucket: stands in `url` already; remove it here",
        ),
        (
            "{url: 'webdav://h', options: {endpoint: 'https://u:p/w@h'}}",
            "cloud.options.endpoint: has an @ behind its host, as where a /, ? or # stands in name",
        ),
        ("{url: 'azblob://c'}", "storages.cloud: lacks endpoint; add it to `options`"),
        ("{url: 'cos://b'}", "storages.cloud: lacks endpoint; add it to `options`"),
    ],
)
def test_what_a_service_does_not_know_or_lacks_is_told(
    tmp_path: Path, storage: str, problem: str
) -> None:
    (told,) = problems_of(tmp_path, f"{HEAD}{storage}\n")
    assert problem in told
