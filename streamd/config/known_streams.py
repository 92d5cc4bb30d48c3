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
        self._index = PatternIndex(map(names.full_name, self._names))
        self._source = source
        self._suggestions = suggestions

    def unmatched(self, path: DataPath, text: str) -> Iterator[Problem]:
        """Yield an error where a stream or pattern can never be published.

        Args:
            path: where it is written.
            text: as it is written.
        """
        if next(self._index.overlapping(names.full_name(text)), None) is None:
            hint = self._suggestions.nearest(text, self._names) or "; add it under `streams`"
            yield self._source.error(
                path, f"nothing under `streams` lets {text} be published{hint}"
            )
