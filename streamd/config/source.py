"""Where things stand: from a path in the data to file, line and column.

Positions are looked for only when there is something to say, so a sound file pays nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from streamd.config import yaml_tree
from streamd.config.data_path import DataPath, render
from streamd.config.left_out import NOTHING, LeftOut
from streamd.config.yaml_tree import Node, Scalar
from streamd.errors import Problem

_SHORTEST_MASKED = 4


class Doubtful(Problem):
    """What a check finds because of what was left out, so that it may be untrue: not to be told."""

    __slots__ = ()


@dataclass(frozen=True)
class Document:
    """One YAML file: its name for messages and its text (without a byte order mark)."""

    file: str
    text: str = field(repr=False)

    @cached_property
    def root(self) -> Node | None:
        """The tree of the text. Raises YamlFault."""
        return yaml_tree.parse(self.text)

    def position(self, offset: int) -> tuple[int, int]:
        """Return line and column of a character, from 1; what lies behind the end is the end."""
        offset = min(offset, self._end)
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    @cached_property
    def _end(self) -> int:
        return len(self.text.rstrip("\r\n"))

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def place(self, offset: int) -> str:
        """Write a position as `file:line:column`."""
        line, column = self.position(offset)
        return f"{self.file}:{line}:{column}"

    def problem(self, offset: int, path: DataPath, message: str) -> Problem:
        """Return an error at a character of this file."""
        line, column = self.position(offset)
        return Problem(self.file, line, column, render(path), message)


@dataclass(frozen=True)
class Source:
    """The files that a configuration was read from, the first one first.

    Attributes:
        documents: the files.
        masks: values that came from references, and how they are written, for messages.
        left_out: what is in the files, and not in the data that paths lead through.
    """

    documents: tuple[Document, ...]
    masks: Mapping[str, str] = field(default_factory=dict, repr=False)
    left_out: LeftOut = NOTHING

    def error(
        self,
        path: DataPath,
        message: str,
        *,
        at_name: bool = False,
        unless: Iterable[DataPath] = (),
    ) -> Problem:
        """Return an error at a path of the data; a `Doubtful` one where that was left out.

        Args:
            path: what is wrong; where the file does not say it, the nearest thing around it.
            message: what is wrong and what to do.
            at_name: point at the last name of the path and not at its value.
            unless: what else it follows from: where one of these was left out, and has its
                default now, it is doubtful too.
        """
        written = self.left_out.as_written(path)
        problem = self._problem(written, message, at_name, warning=False)
        if any(map(self.left_out.concerns, chain([written], unless))):
            return Doubtful(problem.file, problem.line, problem.column, problem.path, message)
        return problem

    def warning(self, path: DataPath, message: str, *, at_name: bool = False) -> Problem:
        """Return a warning at a path of the data; as `error`."""
        return self._problem(self.left_out.as_written(path), message, at_name, warning=True)

    def place(self, path: DataPath) -> str:
        """Write where the last name of a path stands, as `file:line:column`."""
        problem = self._problem(path, "", at_name=True, warning=False)
        return f"{problem.file}:{problem.line}:{problem.column}"

    def written(self, path: DataPath) -> str | None:
        """Return a value as it is written in the file; None where it is not plain text there."""
        _, node, _, rest = self._find(path)
        return node.text if isinstance(node, Scalar) and not rest else None

    def declared(self, section: str) -> list[str]:
        """Return the names in a section over all files, also of what is not sound."""
        return self._declared.get(section, [])

    def released(self) -> "Source":
        """Return the same without the trees in memory; a position parses its file again."""
        documents = tuple(Document(document.file, document.text) for document in self.documents)
        return Source(documents, self.masks, self.left_out)

    def _problem(self, path: DataPath, message: str, at_name: bool, *, warning: bool) -> Problem:
        document, node, name, rest = self._find(path)
        where = node
        if name is not None and (
            at_name or rest or (not isinstance(node, Scalar) and node is not None and node.block)
        ):
            where = name
        line, column = document.position(where.offset if where is not None else 0)
        message = self._masked(message)
        return Problem(document.file, line, column, render(path), message, warning)

    def _find(self, path: DataPath) -> tuple[Document, Node | None, Scalar | None, DataPath]:
        """Follow a path as far as the files go.

        Returns:
            The file, the last node found, the name it stands under, and what of the path is left.
        """
        document = self._document(path)
        node, name = document.root, None
        for position, step in enumerate(path):
            found = _child(node, step)
            if found is None:
                return document, node, name, path[position:]
            name, node = found
        return document, node, name, ()

    def _document(self, path: DataPath) -> Document:
        for length in (2, 1):
            owner = self._owners.get(path[:length])
            if owner is not None:
                return owner
        return self.documents[0]

    @cached_property
    def _declared(self) -> dict[str, list[str]]:
        declared: dict[str, list[str]] = {}
        for section, *name in self._owners:
            if name:
                declared.setdefault(str(section), []).append(str(name[0]))
        return declared

    @cached_property
    def _owners(self) -> dict[DataPath, Document]:
        """The first file that has each section, and each name in one."""
        owners: dict[DataPath, Document] = {}
        for document in self.documents:
            for section, (_, node) in _names(document.root):
                owners.setdefault((section,), document)
                for name, _ in _names(node):
                    owners.setdefault((section, name), document)
        return owners

    @cached_property
    def _mask(self) -> re.Pattern[str] | None:
        values = [value for value in self.masks if len(value) >= _SHORTEST_MASKED]
        if not values:
            return None
        return re.compile("|".join(map(re.escape, sorted(values, key=len, reverse=True))))

    def _masked(self, message: str) -> str:
        if self._mask is None:
            return message
        return self._mask.sub(lambda found: self.masks[found[0]], message)


def _child(node: Node | None, step: str | int) -> tuple[Scalar | None, Node] | None:
    if isinstance(node, yaml_tree.Mapping):
        return node.index().get(str(step))
    if isinstance(node, yaml_tree.Sequence) and isinstance(step, int):
        return (None, node.items[step]) if step < len(node.items) else None
    return None


def _names(node: Node | None) -> Iterable[tuple[str, tuple[Scalar, Node]]]:
    return node.index().items() if isinstance(node, yaml_tree.Mapping) else ()
