"""The addresses at which streams are published and played, for people and as JSON. Pure."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Literal
from urllib.parse import quote

from streamd import names
from streamd.auth.decide import AuthIndex
from streamd.desired import Desired, ServerSpec, StreamRule
from streamd.errors import StreamdError

Protocol = Literal["rtmp", "srt", "whip", "whep", "http-flv", "hls"]

_USUAL_PORT = {"rtmp": 1935, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Url:
    """One address of one stream on one server.

    Attributes:
        server: name of the media server.
        stream: `app/stream`; NAME and APP stand for what a pattern leaves open.
        action: what it serves for.
        protocol: how.
        key: name of the key whose secret is in the address; None where there is none.
        key_in_name: the secret is part of the stream's name.
        url: the whole address; `<studio>` stands for the secret of the key `studio` where that
            was not given.
        obs_server, obs_key: the two fields that OBS and most encoders ask for instead.
        note: what else has to be known.
    """

    server: str
    stream: str
    action: Literal["publish", "play"]
    protocol: Protocol
    key: str | None
    key_in_name: bool
    url: str
    obs_server: str | None = None
    obs_key: str | None = None
    note: str | None = None


def urls(
    desired: Desired, stream: str | None = None, secrets: Mapping[str, str] | None = None
) -> tuple[Url, ...]:
    """Return every publish and play address, by stream and server.

    Args:
        desired: the configuration.
        stream: one stream, as in the file or one that a pattern matches; None for all.
        secrets: by key, to put into the addresses; a key that is not there is shown as `<key>`.

    Raises:
        StreamdError: no such stream may be published.
    """
    found: list[Url] = []
    for rule, name in _chosen(desired, stream):
        for server in _servers_of(desired, name):
            addresses = _Addresses(server, name, secrets or {})
            if not rule.internal:
                found += addresses.publish(rule)
            elif rule.ingest is not None:
                found += _ingest(desired.rules[rule.ingest], server, name, secrets or {})
            found += addresses.play(rule)
    return tuple(found)


def _servers_of(desired: Desired, stream: str) -> list[ServerSpec]:
    """Return the servers that a stream can be on: what streamd publishes is on one."""
    source = desired.sources.get(stream)
    if source is not None:
        return [desired.servers[source.server]]
    read = next((each.stream for each in desired.transcodes.values() if each.to == stream), None)
    return list(desired.servers.values()) if read is None else _servers_of(desired, read)


def _ingest(
    rule: StreamRule, server: ServerSpec, stream: str, secrets: Mapping[str, str]
) -> Iterator[Url]:
    """Yield where a stream with a fallback is published, as addresses of that stream."""
    for url in _Addresses(server, rule.pattern, secrets).publish(rule):
        yield replace(url, stream=stream)


def _chosen(desired: Desired, stream: str | None) -> Iterator[tuple[StreamRule, str]]:
    if stream is None:
        yield from (
            (rule, _example(pattern))
            for pattern, rule in sorted(desired.rules.items())
            if rule.ingest_of is None
        )
        return
    full = names.full_name(stream)
    rule = desired.rules.get(full) or AuthIndex(desired).rule_for(full)
    if rule is None:
        near = difflib.get_close_matches(full, desired.rules, n=1)
        known = ", ".join(sorted(desired.rules)) or "none"
        advice = f"did you mean {near[0]}?" if near else f"there are: {known}"
        raise StreamdError(f"streams: {full} may not be published; {advice}")
    yield rule, _example(full)


def _example(pattern: str) -> str:
    """Return a name that a pattern could have: NAME, and APP in the place of an app."""
    app, name = names.split(pattern)
    return f"{app.replace('*', 'APP')}/{name.replace('*', 'NAME')}"


class _Addresses:
    """The addresses of one stream on one server."""

    def __init__(self, server: ServerSpec, stream: str, secrets: Mapping[str, str]) -> None:
        self._server = server
        self._stream = stream
        self._app, self._name = names.split(stream)
        self._secrets = secrets
        host = server.host
        self._host = f"[{host}]" if ":" in host and not host.startswith("[") else host

    def publish(self, rule: StreamRule) -> Iterator[Url]:
        server = self._server
        for key in (None,) if rule.keys is None else sorted(rule.keys):
            query = f"?secret={self._secret(key)}" if key else ""
            if server.rtmp:
                yield self._rtmp_publish(key, self._name + query, key_in_name=False)
            if self._has_srt():
                yield self._url("publish", "srt", self._srt("publish", key), key)
            if server.engine == "srs" and server.webrtc and server.http:
                yield self._url("publish", "whip", self._rtc("whip", key), key)
            if server.rtmp and rule.key_in_name and key:
                name = f"{self._name}-{self._secret(key)}"
                yield self._rtmp_publish(key, name, key_in_name=True)

    def play(self, rule: StreamRule) -> Iterator[Url]:
        yield from self._play(self._name, None)
        if self._has_srt() and not rule.internal:
            # SRS carries SRT over to every other protocol, and none of them to SRT.
            note = "plays what is published by SRT only"
            yield replace(self._url("play", "srt", self._srt("request", None)), note=note)
        if self._server.engine == "srs" and self._server.webrtc and self._server.http:
            yield self._url("play", "whep", self._rtc("whep", None))
        if rule.key_in_name:
            for key in sorted(rule.keys or ()):
                yield from self._play(f"{self._name}-{self._secret(key)}", key)

    def _play(self, name: str, key: str | None) -> Iterator[Url]:
        server = self._server
        if server.rtmp:
            base = self._base("rtmp", server.rtmp)
            yield self._url("play", "rtmp", f"{base}/{self._app}/{name}", key, in_name=bool(key))
        if server.http:
            place = f"{self._web()}/{self._app}/{name}"
            if server.engine == "srs":
                yield self._url("play", "http-flv", f"{place}.flv", key, in_name=bool(key))
            yield self._url("play", "hls", f"{place}.m3u8", key, in_name=bool(key))

    def _url(
        self,
        action: Literal["publish", "play"],
        protocol: Protocol,
        url: str,
        key: str | None = None,
        *,
        in_name: bool = False,
    ) -> Url:
        return Url(self._server.name, self._stream, action, protocol, key, in_name, url)

    def _rtmp_publish(self, key: str | None, name: str, *, key_in_name: bool) -> Url:
        place = f"{self._base('rtmp', self._server.rtmp)}/{self._app}"
        return Url(
            server=self._server.name,
            stream=self._stream,
            action="publish",
            protocol="rtmp",
            key=key,
            key_in_name=key_in_name,
            url=f"{place}/{name}",
            obs_server=place,
            obs_key=name,
        )

    def _secret(self, key: str) -> str:
        secret = self._secrets.get(key)
        return f"<{key}>" if secret is None else quote(secret, safe="")

    def _base(self, scheme: str, port: int | None) -> str:
        return f"{scheme}://{self._host}" + ("" if port == _USUAL_PORT[scheme] else f":{port}")

    def _web(self) -> str:
        server = self._server
        if server.https:
            return self._base("https", server.https)
        return self._base("http", server.http)

    def _has_srt(self) -> bool:
        # In a stream id a comma ends a field, and FFmpeg makes a plus a space.
        return self._server.srt is not None and not set(self._stream) & set(",+")

    def _srt(self, mode: str, key: str | None) -> str:
        # `#!::` as it is: FFmpeg 5.1 and OBS hand the stream id on without decoding it.
        secret = f"secret={self._secret(key)}," if key else ""
        stream_id = f"#!::r={self._stream},{secret}m={mode}"
        return f"srt://{self._host}:{self._server.srt}?streamid={stream_id}"

    def _rtc(self, kind: str, key: str | None) -> str:
        secret = f"&secret={self._secret(key)}" if key else ""
        app, name = quote(self._app, safe=""), quote(self._name, safe="")
        return f"{self._web()}/rtc/v1/{kind}/?app={app}&stream={name}{secret}"


def urls_json(found: Iterable[Url]) -> list[dict[str, object]]:
    """Return addresses as plain dicts, for `json.dumps`."""
    return [asdict(url) for url in found]


def urls_text(found: Sequence[Url]) -> str:
    """Return addresses as text: a block for each stream on each server."""
    lines: list[str] = []
    for (stream, server), block in groupby(found, key=lambda url: (url.stream, url.server)):
        lines += ([""] if lines else []) + [f"{stream} on server {server}"]
        groups = groupby(block, key=lambda url: (url.action, url.key, url.key_in_name))
        for (action, key, in_name), group in groups:
            with_key = f" with key {key}{' in the name' if in_name else ''}" if key else ""
            lines.append(f"  {action}{with_key}")
            lines += [line for url in group for line in _lines(url)]
    notes = []
    unknown = sorted({url.key for url in found if url.key and f"<{url.key}>" in url.url})
    if unknown:
        stands = ", ".join(f"<{key}>" for key in unknown)
        notes.append(f"{stands}: put the secret of that key there; --show-secrets does it.")
    if any(url.protocol == "srt" for url in found):
        notes.append("In a shell, put an srt:// address in single quotes.")
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _lines(url: Url) -> Iterator[str]:
    yield f"    {url.protocol:<8}  {url.url}{f'  ({url.note})' if url.note else ''}"
    if url.obs_server is not None:
        yield f"    {'  in OBS':<8}  server {url.obs_server}, stream key {url.obs_key}"
