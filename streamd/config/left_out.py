"""What is wrong in a file, left out so that the rest can be checked as a whole. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from streamd.config import shape
from streamd.config.data_path import DataPath


@dataclass(frozen=True)
class LeftOut:
    """The paths of what was left out, as the file has them.

    What the file has under a name that is not known counts as left out under the known one that it
    probably means: a check must not say that it lacks there.
    """

    paths: frozenset[DataPath] = frozenset()

    def concerns(self, path: DataPath) -> bool:
        """Tell whether a path, or some of the list that stands there, was left out."""
        if not self.paths:
            return False
        return path in self._short or any(
            path[:length] in self.paths for length in range(len(path) + 1)
        )

    def as_written(self, path: DataPath) -> DataPath:
        """Return the path in the file of what stands at a path of the data without this."""
        if not self.paths:
            return path
        written: DataPath = ()
        for step in path:
            if isinstance(step, int) and written in self._gaps:
                step += bisect_right(self._gaps[written], step)  # noqa: PLW2901
            written = (*written, step)
        return written

    def without(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data without this."""
        branches: _Branches = {}
        for path in self.paths:
            branch = branches
            for step in path:
                branch = branch.setdefault(step, {})
            branch[None] = {}  # all of it
        found: dict[str, Any] = _without(data, branches)
        return found

    @cached_property
    def _short(self) -> frozenset[DataPath]:
        """The lists, and mappings of what one likes, that are shorter than in the file."""
        holders = {path[:-1] for path in self.paths if len(path) > 2}
        return frozenset(path for path in holders if not shape.fields_at(path))

    @cached_property
    def _gaps(self) -> dict[DataPath, list[int]]:
        """Of each list that is shorter: behind how many of its items the missing ones stood."""
        missing: dict[DataPath, list[int]] = {}
        for *holder, step in filter(None, self.paths):
            if isinstance(step, int):
                missing.setdefault(tuple(holder), []).append(step)
        return {
            holder: [position - before for before, position in enumerate(sorted(positions))]
            for holder, positions in missing.items()
        }


NOTHING = LeftOut()

_Branches = dict[str | int | None, Any]


def _without(data: Any, branches: _Branches) -> Any:
    """Copy only what something is left out of."""
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(data, Mapping):
        pairs = data.items()
    elif isinstance(data, list):
        pairs = enumerate(data)
    else:
        return data
    kept = {
        step: _without(found, branches[step]) if step in branches else found
        for step, found in pairs
        if None not in branches.get(step, ())
    }
    return kept if isinstance(data, Mapping) else list(kept.values())
