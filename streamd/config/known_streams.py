"""Which streams there can be, for what reads them: targets, transcodes and recordings. Pure."""

from collections.abc import Iterator

from streamd import names
from streamd.config.data_path import DataPath
from streamd.config.models import Config
from streamd.config.pattern_index import PatternIndex
from streamd.config.source import Source
from streamd.config.suggestions import Suggestions
from streamd.errors import Problem


class KnownStreams:
    """Streams that are published, those that are not in order too, and what transcodes make.

    Args:
        config: of the file.
        source: where it stands.
        suggestions: for names that are not known.
    """

    def __init__(self, config: Config, source: Source, suggestions: Suggestions) -> None:
        declared = filter(names.is_pattern, source.declared("streams"))
        self._names = dict.fromkeys([*config.streams, *declared])
        self._names |= dict.fromkeys(each.to for each in config.transcodes.values())
        self._unless: list[DataPath] = [("streams",), ("transcodes",)]
        for name in source.declared("transcodes"):
            if name not in config.transcodes:
                self._add_made(("transcodes", name, "to"), source)
        self._index = PatternIndex(map(names.full_name, self._names))
        self._source = source
        self._suggestions = suggestions

    def _add_made(self, path: DataPath, source: Source) -> None:
        """Add what a transcode that is not in order is to become."""
        to = source.written(path)
        if to is not None and names.is_pattern(to):
            self._names[to] = None
        else:
            self._unless.append(path)

    def unmatched(self, path: DataPath, text: str) -> Iterator[Problem]:
        """Yield an error where a stream or pattern can never be published.

        Args:
            path: where it is written.
            text: as it is written.
        """
        if next(self._index.overlapping(names.full_name(text)), None) is None:
            hint = self._suggestions.nearest(text, self._names) or "; add it under `streams`"
            yield self._source.error(
                path,
                f"nothing under `streams` lets {text} be published{hint}",
                unless=self._unless,
            )
