"""What a save changes of streams, targets and transcodes: whatever is made of publishers. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from streamd import names
from streamd.changes.change import (
    Action,
    Change,
    Touched,
    change_of,
    differing,
    live_consumers,
    named,
    pairs,
    with_consumers,
)
from streamd.desired import Desired, SourceSpec, StreamRule
from streamd.jobs import Job, TargetJob, TranscodeJob
from streamd.observed import Observed
from streamd.playout.spec import IngestInput, SlateInput
from streamd.process_names import playout_process_name, transcode_process_name
from streamd.wanted import wanted_jobs

Jobs = tuple[Mapping[str, Job], Mapping[str, Job]]


def both_jobs(old: Desired, new: Desired, observed: Observed, clock: datetime) -> Jobs:
    """Return what is wanted with either, by process.

    What all share (FFmpeg, the address of progress) is that of `old`: it has a change of its own.
    """
    new = replace(new, ffmpeg=old.ffmpeg, daemon=old.daemon)
    before, _ = wanted_jobs(old, observed, _same_input, 0.0, clock)
    after, _ = wanted_jobs(new, observed, _same_input, 0.0, clock)
    return before, after


def stream_changes(
    old: Desired,
    new: Desired,
    observed: Observed,
    put_off: Mapping[str, str | None],
    jobs: Jobs,
) -> list[Change]:
    """Return the changes of streams: who may publish them, and what streamd makes them of.

    Args:
        old: what is applied.
        new: what a save would apply.
        observed: what is live.
        put_off: streams whose publishers may not go on.
        jobs: of `both_jobs`.
    """
    found = []
    for pattern, before, after in pairs(_streams(old), _streams(new)):
        ingest = {rule.ingest for rule, _ in filter(None, (before, after)) if rule.ingest}
        kicked = {s for s in put_off if s in ingest or names.matches(pattern, s)}
        process = playout_process_name(pattern)
        ends = process in observed.processes and differs(process, jobs)
        # Who is put off does not come back, and neither does a playout without its source.
        restarts = ends and process in jobs[1] and not kicked
        if ends and pattern in observed.publishers:
            kicked.add(pattern)
        touched = lost(observed, kicked, jobs)
        change = change_of("stream", pattern, None, None, touched)
        if before is not None and after is not None:
            fields = (
                *_differing_rule(before[0], after[0]),
                *_differing_source(before[1], after[1]),
            )
            action: Action = "restart" if restarts else "update"
            change = replace(change, action=action, fields=tuple(dict.fromkeys(named(fields))))
        elif after is None:
            change = replace(change, action="remove")
        found.append(change)
    return found


def lost(observed: Observed, streams: Collection[str], jobs: Jobs) -> Touched:
    """Return what is touched when some streams lose their publishers: what is made of them too."""
    found = frozenset(streams)
    while True:
        made = {
            transcode.to
            for job in jobs[0].values()
            if isinstance(job, TranscodeJob) and job.stream in found
            for transcode in job.transcodes
            if transcode.to in observed.publishers
        }
        if made <= found:
            return with_consumers(observed, found)
        found |= made


_Stream = tuple[StreamRule, SourceSpec | None]


def _streams(desired: Desired) -> dict[str, _Stream]:
    """Return the streams of the file, without what follows from elsewhere in it.

    An ingest is part of its stream, and a transcode's stream of that. Where an ingest is read is a
    matter of the server.
    """
    keys = {
        rule.ingest_of: rule.keys for rule in desired.rules.values() if rule.ingest_of is not None
    }
    return {
        pattern: (
            replace(rule, keys=keys.get(pattern, rule.keys)),
            _without_ingest(desired.sources.get(pattern)),
        )
        for pattern, rule in desired.rules.items()
        if rule.ingest_of is None and (not rule.internal or pattern in desired.sources)
    }


def _without_ingest(source: SourceSpec | None) -> SourceSpec | None:
    if source is None:
        return None
    inputs = (each for each in source.inputs if not isinstance(each, IngestInput))
    return replace(source, inputs=tuple(inputs))


def _differing_rule(before: StreamRule, after: StreamRule) -> tuple[str, ...]:
    # What else a source or a fallback makes of a rule is told by `_differing_source`.
    return tuple(n for n in differing(before, after) if n not in ("internal", "ingest"))


def _differing_source(before: SourceSpec | None, after: SourceSpec | None) -> tuple[str, ...]:
    """Return what differs between two sources, as written in the file."""
    found = []
    for name, slates in (("fallback", True), ("source", False)):
        inputs = [
            [each for each in spec.inputs if isinstance(each, SlateInput) == slates] if spec else []
            for spec in (before, after)
        ]
        if inputs[0] != inputs[1]:
            found.append(name)
    if before is not None and after is not None:
        found += [name for name in differing(before, after) if name != "inputs"]
    return tuple(found)


def target_changes(old: Desired, new: Desired, observed: Observed, jobs: Jobs) -> list[Change]:
    """Return the changes of targets, each with the processes that it ends."""
    ended: dict[str, frozenset[str]] = {}
    for process in live_consumers(observed):
        job = jobs[0].get(process)
        if isinstance(job, TargetJob) and differs(process, jobs):
            ended[job.target] = ended.get(job.target, frozenset()) | {process}
    found = []
    for name, before, after in pairs(old.targets, new.targets):
        touched = Touched(processes=ended.get(name, frozenset()))
        change = change_of("target", name, before, after, touched)
        if change.action == "update" and touched.processes:
            change = replace(change, action="restart")
        found.append(change)
    return found


def transcode_changes(old: Desired, new: Desired, observed: Observed, jobs: Jobs) -> list[Change]:
    """Return the changes of transcodes: those of one stream share a process and restart with it."""
    found = []
    for name, before, after in pairs(old.transcodes, new.transcodes):
        shared = {transcode_process_name(each) for each in (before, after) if each is not None}
        ended = {each for each in shared & live_consumers(observed) if differs(each, jobs)}
        made = frozenset(
            transcode.to
            for process in ended
            if isinstance(job := jobs[0].get(process), TranscodeJob)
            for transcode in job.transcodes
            if transcode.to in observed.publishers
        )
        touched = lost(observed, made, jobs)
        touched = replace(touched, processes=touched.processes | ended)
        change = change_of("transcode", name, before, after, touched)
        if change.action == "update" and ended:
            change = replace(change, action="restart")
        found.append(change)
    return found


def differs(process: str, jobs: Jobs) -> bool:
    """Tell whether a process does something else afterwards, or nothing."""
    before, after = jobs
    return before.get(process) != after.get(process)


def _same_input(server: str, stream: str) -> str:
    return f"{server}/{stream}"
