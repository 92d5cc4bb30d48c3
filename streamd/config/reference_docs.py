"""The configuration reference, written from the models.

`python -m streamd.config.reference_docs` renews docs/configuration.md.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from streamd.config import shape
from streamd.config.fields import write_duration, write_percentage
from streamd.config.model import Model, written_fields
from streamd.config.models import NAMED_SECTIONS, Config
from streamd.config.user_info import WRITE_ENCODED
from streamd.platforms import PLATFORMS

PAGE = Path("docs/configuration.md")

_INTRODUCTION = """\
# Configuration

The file is YAML 1.2. `streamd check` validates it without a daemon and reports every error at once,
each as `file:line:column: path: what is wrong; what to do`. A field that is not listed here is an
error. This page is generated from the code that reads the file.

Times are ISO 8601 with a zone (`2026-12-01T00:00:00Z`), durations a number with a unit (`500ms`
`2s` `1m` `1h` `7d`), sizes too (`200MB` `1.5GB` of 1000, `200GiB` of 1024), percentages a number
with a sign (`30%`). Names are up to 64 of `a-z`, `0-9`, `_` and `-`, beginning with a letter or a
digit. `yes` and `no` are text; write `true` and `false`.
Values that begin with `*`, `&`, `!`, `%`, `@` or a backtick need quotes, and so does text that
looks like a number. Anchors (`&name`, `*name`) and merges (`<<: *name`) work within a file.

## Secrets and other values from outside

A value can hold any of these, also inside a longer text:

- `${env:NAME}`: the environment variable NAME of streamd
- `${file:PATH}`: the content of a file, without one newline at its end; a relative path begins at
  the file that it is written in
- `${cred:NAME}`: a systemd credential (`LoadCredential=NAME:PATH` in the unit of streamd)
- `$${`: a literal `${`

What is not set, unreadable or empty is an error. A changed secret file counts as a change of the
configuration. What these give is never shown: not in logs, status, plans or errors. Names (what
stands before a `:`) are taken as they are written.

In name and password of an address, as in `rtsp://NAME:${file:PATH}@HOST/x`, what they give has to
be percent-encoded already:
{write_encoded}.
FFmpeg's RTMP decodes nothing: there they stand as they are, and can hold no /, ?, #, [ or ]. An
address that would lead to another host is refused.

## Several files

`include` names files or patterns of files (`*`, `?` and `[...]` as in a shell, within one
directory), relative to the file. An included file may hold {sections}, and `version`; it cannot
include others. Their objects are put together by name, and the same name twice is an error that
names both places. A file that is named without a pattern has to exist; a pattern may match
nothing. Patterns pass over hidden files and the backups of editors (`x~`). How objects are spread
over files means nothing: moving one to another file changes nothing on air.

## Which stream a name means

`NAME` is a stream of the app `live`, `APP/NAME` one of another app. `*` stands for any part of a
name, and for a whole one, but not for `/`; `*` alone is every stream of every app. Where several
entries of `streams` match, one decides: the exact name before every pattern, then the pattern with
the longest text before its first `*`, then the longer pattern.
"""

# One for each section. Together with a version they are a whole file, which a test loads.
EXAMPLES = {
    "": """\
version: 1
include: [conf.d/*.yaml]
ffmpeg: /usr/bin/ffmpeg
""",
    "daemon": """\
daemon:
  status: 0.0.0.0:2022
  status_token: ${cred:status-token}
  status_certificate: status
  max_stop: 30%
""",
    "servers": """\
servers:
  main:
    host: live.example.com
    listen: {rtmp: 1935, http: 8080, https: 8443, srt: 10080, webrtc: 8000}
    certificate: site
    webrtc_candidate: 203.0.113.5
    hls: {fragment: 2s, window: 20s}
""",
    "keys": """\
keys:
  studio: {secret: "${env:STUDIO_KEY}"}
  new-studio: {secret: "${cred:new-studio}", not_before: 2026-12-01T00:00:00Z}
  camera7: {secret_sha256: 5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8}
""",
    "streams": """\
streams:
  livestream: {keys: [studio, new-studio]}      # rtmp://HOST/live/livestream?secret=...
  lot/cam7: {keys: [camera7], key_in_name: true}
  rooms/*: {keys: [studio]}
  open: {keys: any}
  always-on: {keys: [studio], fallback: /srv/slate.mp4}   # rtmp://HOST/in/always-on?secret=...
  lobby: {source: {files: [/srv/a.mp4, /srv/b.mp4]}}
  evening: {source: {files: [/srv/film.mkv], start: 18:00, end: 23:30, timezone: Europe/Berlin}}
  door: {source: {url: "rtsp://user:${cred:door}@10.0.0.9/h264", audio: silent}}
  relay: {source: {url: "srt://a.example.com:9000", backup_url: "srt://b.example.com:9000"}}
""",
    "targets": """\
targets:
  youtube: {stream: livestream, platform: youtube, key: "${cred:youtube}"}
  partner:
    stream: livestream
    url: rtmps://ingest.example.com:443/app
    key: ${file:/etc/streamd/partner.key}
    backup_url: rtmps://backup.example.com:443/app
  rooms: {streams: ["rooms/*"], url: "rtmp://cdn.example.com/rooms/{stream}"}
  srt: {stream: livestream, url: "srt://198.51.100.7:9000?streamid=x", enabled: false}
""",
    "transcodes": """\
transcodes:
  p720:
    stream: livestream
    to: livestream-720
    video: {codec: h264, height: 720, bitrate: 2500k}
    audio: {codec: aac, bitrate: 128k}
  p360:
    stream: livestream
    to: livestream-360
    video: {codec: h264, height: 360, bitrate: 600k}
""",
    "recordings": """\
recordings:
  archive:
    streams: ["*"]
    directory: /var/lib/streamd/recordings
    format: mp4
    split: 1h
    resume: 30s
    keep: {for: 30d, size: 200GB, free: 10%}
    upload: cloud
    serve: true
  evidence: {streams: [door], format: both, upload: {to: cloud, when: segment}}
""",
    "storages": """\
storages:
  cloud:
    url: s3://bucket/prefix
    options:
      endpoint: https://s3.example.com
      region: eu-central-1
      access_key_id: ${cred:s3-id}
      secret_access_key: ${cred:s3-secret}
""",
    "certificates": """\
certificates:
  site:
    domains: [live.example.com, cdn.example.com]
    acme: {email: ops@example.com}
  status:
    domains: ["*.example.com"]
    acme:
      challenge:
        rfc2136: {server: "ns.example.com:53", key: streamd, secret: "${cred:tsig}"}
""",
    "callbacks": """\
callbacks:
  billing:
    url: https://app.example.com/hook
    events: [on_publish, on_unpublish, on_record_begin, on_record_end]
    opaque: ${cred:billing}
    timeout: 5s
  monitoring: {url: "http://10.0.0.5:9000/", events: [on_target_live, on_target_error]}
""",
}


def reference() -> str:
    """Return the reference as Markdown."""
    sections = ", ".join(f"`{name}`" for name in NAMED_SECTIONS)
    introduction = _INTRODUCTION.replace("{sections}", sections)
    parts = [introduction.replace("{write_encoded}", WRITE_ENCODED)]
    parts.append("## The whole file\n\n" + _example("") + _table(Config))
    for name in Config.model_fields:
        annotation = shape.hints(Config)[name]
        objects = shape.container_arguments(annotation, dict)
        model = shape.model_of(objects[1] if objects else annotation)
        if model is not None:
            parts.append(_section(name, objects is not None, model))
    return "\n".join(parts)


def _section(name: str, named: bool, model: type[Model]) -> str:
    path = f"{name}.NAME" if named else name
    text = (
        f"## {name}\n\n{_summary(model)}\n\n{_example(name)}Fields of `{path}`:\n\n{_table(model)}"
    )
    for below, nested in _nested(model):
        text += f"\n### {path}.{below}\n\n{_summary(nested)}\n\n{_table(nested)}"
    return text + (_platforms() if name == "targets" else "")


def _platforms() -> str:
    rows = "| `platform` | Server | Where the key is shown |\n|---|---|---|\n"
    for name, preset in PLATFORMS.items():
        if name != "custom":
            server = f"`{preset.server}`" if preset.server else "each account its own: set `url`"
            rows += f"| `{name}` ({preset.title}) | {server} | {preset.key_hint} |\n"
    return f"\n### Platforms\n\n{rows}"


def _nested(model: type[Model]) -> Iterator[tuple[str, type[Model]]]:
    for name, annotation in shape.hints(model).items():
        found = shape.model_of(annotation)
        if found is not None:
            yield name, found
            yield from ((f"{name}.{below}", nested) for below, nested in _nested(found))


def _summary(model: type[Model]) -> str:
    return " ".join((model.__doc__ or "").split())


def _example(section: str) -> str:
    return f"```yaml\n{EXAMPLES[section]}```\n\n" if section in EXAMPLES else ""


def _table(model: type[Model]) -> str:
    rows = "| Field | Type | Default | |\n|---|---|---|---|\n"
    for name, _, field in written_fields(model):
        annotation = shape.hints(model)[name]
        cells = (
            f"`{name}`",
            shape.in_words(annotation),
            _default(field, annotation),
            field.description or "",
        )
        rows += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    return rows


def _default(field: FieldInfo, annotation: Any) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None or isinstance(default, (Model, dict)):
        return ""
    if isinstance(default, tuple):
        return ", ".join(f"`{each}`" for each in default)
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, timedelta):
        return f"`{write_duration(default)}`"
    if isinstance(default, float) and "percentage" in shape.in_words(annotation):
        return f"`{write_percentage(default)}`"
    return f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(reference(), "utf-8")
