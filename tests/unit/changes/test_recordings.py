"""What a save changes of recordings, and whom it disturbs."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from streamd.changes.change import Change, Touched
from streamd.changes.compare import changes
from streamd.changes.recordings import archives_touched
from streamd.desired import Desired, StorageSpec
from streamd.errors import PlanRefusedError
from streamd.guard import guard
from streamd.observed import Observed, ObservedProcess, Publisher
from streamd.process_names import archive_process_name
from tests.unit.recording_values import BY_STUDIO, RULE, desired, live

CLOCK = datetime(2026, 6, 1, tzinfo=UTC)
CLOUD = StorageSpec("cloud", "s3://bucket", (("secret_access_key", "HIDDEN"),))
UPLOADED = replace(RULE, storage="cloud")
RECORDER = "record.archive@live/a"


def running(*names: str) -> Observed:
    processes = {
        name: ObservedProcess(name, "running", 1, "", publisher="studio")
        for name in ("server.main", archive_process_name(RULE), *names)
    }
    return replace(live(BY_STUDIO), processes=processes)


def changed(old: Desired, new: Desired) -> tuple[Change, ...]:
    return changes(old, new, running(RECORDER), {}, CLOCK)


def edited(**fields: object) -> str:
    storages = {"cloud": CLOUD}
    new = replace(UPLOADED, **fields)  # type: ignore[arg-type] # by field
    (change,) = changed(desired(UPLOADED, storages=storages), desired(new, storages=storages))
    return str(change)


def test_a_new_rule_touches_nothing() -> None:
    (change,) = changes(desired(), desired(RULE), running(), {}, CLOCK)
    assert str(change) == "+ recording archive: create; touches nothing live"


def test_a_removed_rule_ends_its_recordings() -> None:
    (change,) = changed(desired(RULE), desired())
    assert change == Change(
        "recording", "archive", "remove", (), Touched(processes=frozenset({RECORDER}))
    )
    assert str(change) == "- recording archive: remove; 1 live recording"


def test_an_edit_is_told_in_the_words_of_the_file() -> None:
    told = {
        "path": "name",
        "split_s": "split",
        "resume_s": "resume",
        "keep_for_s": "keep.for",
        "keep_bytes": "keep.size",
        "free_bytes": "keep.free",
        "upload_when": "upload.when",
        "served_by": "serve",
        "url_base": "url",
    }
    values: dict[str, object] = {
        "path": "x",
        "upload_when": "segment",
        "served_by": "main",
        "url_base": "http://h",
    }
    for field, name in told.items():
        line = edited(**{field: values.get(field, 5)})
        assert line == f"~ recording archive: update ({name}); touches nothing live"
    assert edited(storage=None).startswith("~ recording archive: update (upload)")
    both = edited(free_share=0.5, free_bytes=7)
    assert both.startswith("~ recording archive: update (keep.free)")


def test_another_directory_begins_recordings_anew() -> None:
    assert edited(directory="/mnt") == "! recording archive: restart (directory); 1 live recording"


def test_a_storage_is_told_without_what_opens_it() -> None:
    new = replace(CLOUD, options=(("secret_access_key", "ALSO-HIDDEN"),))
    (change,) = changed(
        desired(UPLOADED, storages={"cloud": CLOUD}), desired(UPLOADED, storages={"cloud": new})
    )
    assert str(change) == "~ storage cloud: update (options); touches nothing live"
    assert archives_touched(change, desired(UPLOADED, storages={"cloud": new})) == {"archive"}
    assert archives_touched(change, desired(RULE)) == frozenset()


def test_which_streams_are_recorded_is_nothing_to_an_archive() -> None:
    (change,) = changed(desired(RULE), desired(replace(RULE, streams=("live/*",))))
    assert str(change) == "~ recording archive: update (streams); touches nothing live"
    assert archives_touched(change, desired(RULE)) == frozenset()


def test_the_guard_counts_recordings() -> None:
    streams = [f"live/{name}" for name in "abcd"]
    observed = replace(
        live(*(Publisher("main", stream, stream, stream) for stream in streams)),
        processes={
            f"record.archive@{stream}": ObservedProcess(
                f"record.archive@{stream}", "running", 1, "", publisher=stream
            )
            for stream in streams
        },
    )
    found = changes(desired(RULE), desired(), observed, {}, CLOCK)
    guard(found, live=8, max_stop=0.5)
    with pytest.raises(PlanRefusedError, match=r"stop 4 of 8 that are live \(recording archive\)"):
        guard(found, live=8, max_stop=0.4)
