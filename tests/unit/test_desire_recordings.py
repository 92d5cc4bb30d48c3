"""From recordings of the file to rules with every default filled in."""

from pathlib import Path
from typing import Any

from streamd.config.defaults import Machine
from streamd.config.models import Config
from streamd.desire import desire
from streamd.desired import Desired, RecordingSpec

MACHINE = Machine({"srs": Path("/srs")}, Path("/ffmpeg"), Path("/var/lib/streamd"))


def desired(recording: dict[str, Any], **sections: Any) -> Desired:
    return desire(
        Config.model_validate({"version": 1, "recordings": {"archive": recording}, **sections}),
        MACHINE,
    )


def test_a_rule_of_streams_alone_has_every_default() -> None:
    assert desired({"streams": ["*", "cam"]}).recordings == {
        "archive": RecordingSpec(
            name="archive",
            streams=("*/*", "live/cam"),
            directory="/var/lib/streamd/recordings",
            path="{app}/{stream}/{date}/{time}-{uuid}",
            resume_s=30.0,
            free_share=0.05,
        )
    }


def test_all_that_is_written_comes_through() -> None:
    found = desired(
        {
            "streams": ["lot/*"],
            "directory": "/srv/{app}",
            "name": "{uuid}",
            "format": "both",
            "split": "1h",
            "resume": "2m",
            "keep": {"for": "30d", "size": "200GB", "free": "20GiB"},
            "upload": {"to": "cloud", "when": "segment"},
            "keep_local": False,
            "url": "https://cdn.example.com/rec/",
        },
        storages={
            "cloud": {"url": "s3://b/p", "options": {"secret_access_key": "x", "region": "y"}}
        },
    )
    assert found.recordings["archive"] == RecordingSpec(
        name="archive",
        streams=("lot/*",),
        directory="/srv/{app}",
        path="{uuid}",
        format="both",
        split_s=3600.0,
        resume_s=120.0,
        keep_for_s=30 * 86400.0,
        keep_bytes=200 * 10**9,
        free_bytes=20 * 2**30,
        storage="cloud",
        upload_when="segment",
        keep_local=False,
        url_base="https://cdn.example.com/rec",
    )
    assert found.storages["cloud"].options == (("region", "y"), ("secret_access_key", "x"))


def test_what_is_served_has_the_address_of_the_first_server_that_can() -> None:
    servers = {
        "ingest": {"listen": {"rtmp": 1935, "api": 1985}},
        "edge": {"host": "live.example.com", "listen": {"rtmp": 1936, "http": 8081, "api": 1986}},
        "last": {"listen": {"http": 8082, "api": 1987}},
    }
    rule = desired({"streams": ["*"], "serve": True}, servers=servers).recordings["archive"]
    assert rule.served_by == "edge"
    assert rule.url_base == "http://live.example.com:8081/recordings/archive"


def test_where_there_is_https_what_is_served_has_an_address_of_that() -> None:
    listen = {"http": 8080, "https": 8443}
    server = {"host": "live.example.com", "listen": listen, "certificate": "site"}
    sections: dict[str, Any] = {
        "servers": {"main": server},
        "certificates": {"site": {"domains": ["live.example.com"], "acme": {}}},
    }
    rule = desired({"streams": ["*"], "serve": True}, **sections).recordings["archive"]
    assert rule.url_base == "https://live.example.com:8443/recordings/archive"


def test_an_address_of_ones_own_goes_before() -> None:
    rule = desired({"streams": ["*"], "serve": True, "url": "https://h/x"}).recordings["archive"]
    assert (rule.served_by, rule.url_base) == ("main", "https://h/x")
