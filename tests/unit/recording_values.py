"""A rule of recordings, a desired state that has it, and a machine that is ready for it."""

from dataclasses import replace

from streamd.config.models import Daemon
from streamd.desired import Desired, RecordingSpec, StreamRule
from streamd.observed import Observed, Publisher
from tests.unit.planning import SERVER

RULE = RecordingSpec("archive", ("*/*",), "/srv/rec/{app}", "{time}-{uuid}")
BY_STUDIO = Publisher("main", "live/a", "live/a", "studio")
OPEN = StreamRule("*/*", None)


def desired(*rules: RecordingSpec, **changes: object) -> Desired:
    """Return one server that everybody may publish on, with rules of recordings."""
    base = Desired("/ffmpeg", Daemon(), {"main": SERVER}, {}, {"*/*": OPEN}, {})
    return replace(base, recordings={rule.name: rule for rule in rules}, **changes)  # type: ignore[arg-type] # by field


def live(*publishers: Publisher) -> Observed:
    """Return a machine with publishers, on which the archive of `RULE` is ready."""
    spools = {"archive": "/srv/rec/.spool/archive"}
    return Observed(publishers={each.stream: each for each in publishers}, spools=spools)
