"""From the file to what shall exist: every default and reference filled in.

`desire` is the only way from a `Config` to a `Desired`. It is a pure function of the file and of
the facts about the machine that the caller gathered (`Machine`).
"""

import hashlib
from collections.abc import Iterator, Mapping

from streamd import names, platforms
from streamd.config.defaults import Machine, engine_of, listen_of, source_directories
from streamd.config.models import (
    NOT_ENCODED,
    Callback,
    Config,
    Key,
    Server,
    Stream,
    StreamSource,
    Target,
    Transcode,
    TranscodeVideo,
)
from streamd.desire_certificates import certificate_spec, engines_with, served_paths
from streamd.desire_recordings import recording_spec, storage_spec
from streamd.desired import (
    AudioSpec,
    CallbackSpec,
    Desired,
    KeySpec,
    OverlaySpec,
    ServerSpec,
    SourceSpec,
    StreamRule,
    TargetSpec,
    TranscodeSpec,
    VideoSpec,
)
from streamd.playout.spec import FilesInput, IngestInput, PlayoutInput, PullInput, SlateInput
from streamd.schedule import DailyWindow


def desire(config: Config, machine: Machine) -> Desired:
    """Fill in every default and reference of a checked configuration."""
    rules = _rules(config)
    servers = {
        name: _server(name, server, machine, config, tuple(rules))
        for name, server in config.servers.items()
    }
    return Desired(
        ffmpeg=str(config.ffmpeg or machine.ffmpeg or "ffmpeg"),
        daemon=config.daemon,
        servers=servers,
        keys={name: _key(name, key) for name, key in config.keys.items()},
        rules=rules,
        targets={name: _target(name, target) for name, target in config.targets.items()},
        sources=_sources(config, servers, machine),
        transcodes={
            name: _transcode(name, transcode)
            for name, transcode in config.transcodes.items()
            if transcode.enabled
        },
        recordings={
            name: recording_spec(
                name, recording, config.storages, servers.values(), machine.state_directory
            )
            for name, recording in config.recordings.items()
        },
        storages={name: storage_spec(name, storage) for name, storage in config.storages.items()},
        callbacks={name: _callback(name, callback) for name, callback in config.callbacks.items()},
        certificates={
            name: certificate_spec(name, certificate, engines_with(name, config, machine))
            for name, certificate in config.certificates.items()
        },
    )


def _callback(name: str, callback: Callback) -> CallbackSpec:
    return CallbackSpec(
        name,
        callback.url.get_secret_value(),
        frozenset(callback.events),
        callback.opaque.get_secret_value() if callback.opaque is not None else "",
        callback.timeout.total_seconds(),
        callback.on_error,
        callback.sign.get_secret_value() if callback.sign is not None else None,
    )


def _rules(config: Config) -> dict[str, StreamRule]:
    rules: dict[str, StreamRule] = {}
    for text, stream in config.streams.items():
        pattern = names.full_name(text)
        keys = None if stream.keys == "any" else frozenset(stream.keys or ())
        if stream.source is None and stream.fallback is None:
            rules[pattern] = StreamRule(pattern, keys, stream.key_in_name)
            continue
        ingest = None if stream.keys is None else names.ingest_name(pattern)
        rules[pattern] = StreamRule(pattern, frozenset(), internal=True, ingest=ingest)
        if ingest is not None:
            rules[ingest] = StreamRule(ingest, keys, ingest_of=pattern)
    for transcode in config.transcodes.values():
        made = names.full_name(transcode.to)
        rules.setdefault(made, StreamRule(made, frozenset(), internal=True))
    return rules


def _sources(
    config: Config, servers: Mapping[str, ServerSpec], machine: Machine
) -> dict[str, SourceSpec]:
    sources = {}
    directories = source_directories(config, machine)
    for text, stream in config.streams.items():
        if stream.source is None and stream.fallback is None:
            continue
        name = names.full_name(text)
        server = servers[stream.server or next(iter(servers))]
        inputs = tuple(_inputs(name, stream, server, directories))
        source = stream.source or StreamSource()
        window = None
        if source.start is not None and source.end is not None:
            window = DailyWindow(source.start, source.end, source.timezone)
        sources[name] = SourceSpec(name, server.name, inputs, source.on_demand, window)
    return sources


def _inputs(
    name: str, stream: Stream, server: ServerSpec, directories: tuple[str, ...]
) -> Iterator[PlayoutInput]:
    """Yield what a stream is made of, in order of preference."""
    if stream.keys is not None:
        yield IngestInput(f"{server.loopback_rtmp}/{names.ingest_name(name)}")
    source = stream.source
    if source is not None and source.files is not None:
        yield FilesInput(
            files=tuple(map(str, source.files)),
            loop=source.loop,
            shuffle=source.shuffle,
            picture=str(source.picture) if source.picture else None,
            directories=directories,
        )
    elif source is not None:
        for url in (source.url, source.backup_url):
            if url is not None:
                yield PullInput(url.get_secret_value(), source.transport, source.audio)
    if stream.fallback is not None:
        yield SlateInput(str(stream.fallback), directories)


def _server(
    name: str, server: Server, machine: Machine, config: Config, patterns: tuple[str, ...]
) -> ServerSpec:
    engine, binary = engine_of(server, machine)
    listen = listen_of(server, engine)
    apps: set[str] = set()
    if engine == "nginx-rtmp":
        apps = {app for app, _ in map(names.split, patterns) if not names.has_wildcard(app)}
        apps.add(names.DEFAULT_APP)
    return ServerSpec(
        name=name,
        engine=engine,
        binary=str(binary or ("srs" if engine == "srs" else "nginx")),
        host=server.host,
        rtmp=listen.rtmp,
        http=listen.http,
        srt=listen.srt,
        webrtc=listen.webrtc,
        api=listen.api,
        hls_fragment_s=server.hls.fragment.total_seconds(),
        hls_window_s=server.hls.window.total_seconds(),
        webrtc_candidate=server.webrtc_candidate,
        hooks=config.daemon.hooks,
        apps=tuple(sorted(apps)),
        waiting_apps=tuple(sorted(apps & set(_waiting_apps(config, name)))),
        https=listen.https,
        certificate=served_paths(server.certificate, machine.state_directory)
        if server.certificate is not None and listen.https
        else None,
    )


def _waiting_apps(config: Config, server: str) -> Iterator[str]:
    """Yield the apps whose players wait for a publisher: one asked for, or one who comes back."""
    first = next(iter(config.servers))
    for text, stream in config.streams.items():
        full = names.full_name(text)
        if (stream.server or first) != server:
            continue
        if stream.source is not None and stream.source.on_demand:
            yield names.split(full)[0]
        if stream.fallback is not None and stream.keys is not None:
            yield names.split(names.ingest_name(full))[0]


def _key(name: str, key: Key) -> KeySpec:
    sha256 = key.secret_sha256
    if key.secret is not None:
        sha256 = hashlib.sha256(key.secret.get_secret_value().encode()).hexdigest()
    assert sha256 is not None, "checked: a key has secret or secret_sha256"  # noqa: S101 - for mypy
    return KeySpec(name, sha256, key.not_before, key.not_after)


def _target(name: str, target: Target) -> TargetSpec:
    patterns = target.streams if target.stream is None else (target.stream,)
    full = tuple(names.full_name(text) for text in patterns or ())
    key = target.key.get_secret_value() if target.key else None
    url = target.url.get_secret_value() if target.url else None
    urls = [platforms.compose(target.platform, url, key)]
    if target.backup_url is not None:
        urls.append(platforms.compose("custom", target.backup_url.get_secret_value(), key))
    many = len(full) > 1 or any(map(names.has_wildcard, full))
    return TargetSpec(name, full, many, target.platform, tuple(urls), target.enabled)


def _transcode(name: str, transcode: Transcode) -> TranscodeSpec:
    audio = transcode.audio
    return TranscodeSpec(
        name,
        names.full_name(transcode.stream),
        names.full_name(transcode.to),
        _video(transcode.video),
        AudioSpec(audio.codec)
        if audio.codec != "aac"
        else AudioSpec(audio.codec, audio.bitrate or 128_000, audio.sample_rate, audio.channels),
    )


def _video(video: TranscodeVideo) -> VideoSpec:
    if video.codec in NOT_ENCODED:
        return VideoSpec(video.codec)
    overlay = video.overlay
    return VideoSpec(
        codec=video.codec,
        width=video.width,
        height=video.height,
        bitrate=video.bitrate or 0,
        fps=video.fps,
        keyframe_interval_s=video.keyframe_interval.total_seconds(),
        preset=video.preset,
        profile=video.profile,
        overlay=None
        if overlay is None
        else OverlaySpec(str(overlay.file), overlay.position, overlay.margin, overlay.width),
    )
