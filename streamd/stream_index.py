"""Find what is for a stream: targets, rules of recordings. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from streamd import names


class _OfStreams(Protocol):
    """What is for some streams: a target, or a rule of recordings."""

    @property
    def name(self) -> str: ...

    @property
    def streams(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=_OfStreams)


class StreamIndex(Generic[T]):
    """Finds what is for a stream, in time that does not grow with the number of exact names."""

    def __init__(self, specs: Iterable[T]) -> None:
        self._exact: defaultdict[str, list[T]] = defaultdict(list)
        self._patterns: list[tuple[str, T]] = []
        for spec in specs:
            for pattern in spec.streams:
                if names.has_wildcard(pattern):
                    self._patterns.append((pattern, spec))
                else:
                    self._exact[pattern].append(spec)

    def of(self, stream: str) -> Mapping[str, T]:
        """Return what is for `app/stream`, by name."""
        found = {spec.name: spec for spec in self._exact.get(stream, ())}
        for pattern, spec in self._patterns:
            if spec.name not in found and names.matches(pattern, stream):
                found[spec.name] = spec
        return found

    def names(self, stream: str) -> bool:
        """Tell whether something is for `app/stream` by its name, and not by a pattern."""
        return stream in self._exact
