"""The file and what it includes: read, and put together by name."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from streamd.config import includes, plain_data, yaml_tree
from streamd.config.data_path import DataPath
from streamd.config.models import NAMED_SECTIONS, Config
from streamd.config.problems import unknown_field
from streamd.config.reading import UnreadableError, read_file
from streamd.config.references import References
from streamd.config.source import Document, Source
from streamd.config.suggestions import Suggestions
from streamd.config.yaml_errors import YamlFault
from streamd.errors import Problem

MAX_FILE_BYTES = 32 * 1024 * 1024


class _UnusableError(Exception):
    """A file was read and is not what it should be as a whole."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class ConfigFiles:
    """The files of one configuration, read and merged; what is wrong with them is kept.

    Attributes:
        references: resolves the references in them.
        documents: those that were read to their end, the first one first.
        problems: what is wrong with them so far.
        spoilt: paths of values that cannot be used, as a problem says already.
        files: everything that was looked for.
        directories: what patterns of `include` looked in.
        complete: every file was read to its end.
    """

    def __init__(self, references: References) -> None:
        self.references = references
        self.documents: list[Document] = []
        self.problems: list[Problem] = []
        self.spoilt: set[DataPath] = set()
        self.files: set[Path] = set()
        self.directories: set[Path] = set()
        self.complete = True

    def read_all(self, path: Path, place: Path) -> dict[str, Any] | None:
        """Return the merged data of a file and what it includes; None where it has none."""
        try:
            data = self._read(path, place)
        except UnreadableError as error:
            self.problems.append(Problem(str(place), 0, 0, "", str(error)))
            return None
        except _UnusableError as error:
            self.problems.append(error.problem)
            return None
        main = Source((self.documents[0],), self.references.values)
        for position, include in self._included(data, main, place):
            try:
                included = self._read(include, include)
            except UnreadableError as error:
                self._miss(main.error(("include", position), f"{include} {error}"))
            except _UnusableError as error:
                self._miss(error.problem)
            else:
                self._merge(included, data)
        return data

    def _read(self, path: Path, place: Path) -> dict[str, Any]:
        """Read one file. Raises UnreadableError, and _UnusableError where nothing can be taken."""
        self.files.add(path)
        raw = read_file(path, MAX_FILE_BYTES)
        try:
            document = Document(str(place), raw.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise _UnusableError(_not_utf8(str(place), raw, error.start)) from error
        try:
            root = document.root
        except YamlFault as fault:
            raise _UnusableError(document.problem(fault.offset, (), fault.message)) from fault
        if not document.text.strip() and not self.documents:  # it is not an included one
            raise _UnusableError(document.problem(0, (), "is empty; begin it with `version: 1`"))
        if root is not None and not isinstance(root, yaml_tree.Mapping):
            message = "is not a mapping; write `name: value` lines"
            raise _UnusableError(document.problem(root.offset, (), message))
        data, flaws = plain_data.plain_data(
            root, lambda text: self.references.resolve(text, place.parent), document.place
        )
        self.documents.append(document)
        self.problems += [document.problem(flaw.offset, flaw.path, flaw.message) for flaw in flaws]
        self.spoilt |= {flaw.path for flaw in flaws if flaw.spoils}
        return {name: found for name, found in data.items() if found is not None}

    def _miss(self, problem: Problem) -> None:
        self.problems.append(problem)
        self.complete = False

    def _included(
        self, data: Mapping[str, Any], main: Source, place: Path
    ) -> Iterator[tuple[int, Path]]:
        """Yield the included files, each with the position of what names it."""
        patterns = data.get("include", ())
        seen = {os.path.realpath(place)}
        for position, item in enumerate(patterns if isinstance(patterns, list) else ()):
            where = ("include", position)
            pattern = item if isinstance(item, str) else main.written(where)
            if pattern is None or where in self.spoilt:
                continue
            try:
                found = includes.expand(pattern, place.parent, self.directories)
            except UnreadableError as error:
                self._miss(main.error(where, str(error)))
                continue
            for path in found:
                real = os.path.realpath(path)
                if real not in seen:
                    seen.add(real)
                    yield position, path
                elif not includes.is_pattern(pattern):
                    self.problems.append(main.error(where, "is read already; remove it"))

    def _merge(self, included: Mapping[str, Any], data: dict[str, Any]) -> None:
        """Add what an included file, the last one read, holds."""
        here, before = Source((self.documents[-1],)), Source(tuple(self.documents[:-1]))
        for section, objects in included.items():
            if section == "version":
                if objects != data.get("version"):
                    message = "differs from that of the including file; remove it here"
                    self.problems.append(here.error(("version",), message))
            elif section not in NAMED_SECTIONS:
                self.problems.append(here.error((section,), _misplaced(section), at_name=True))
            elif not isinstance(objects, dict):
                message = "is not a mapping; write indented `name: value` lines"
                self.problems.append(here.error((section,), message))
            else:
                self._merge_section(section, objects, data, (here, before))

    def _merge_section(
        self,
        section: str,
        objects: Mapping[str, Any],
        data: dict[str, Any],
        sources: tuple[Source, Source],
    ) -> None:
        present = data.setdefault(section, {})
        if not isinstance(present, dict):
            return
        here, before = sources
        for name, found in objects.items():
            if name in present:
                first = before.place((section, name))
                message = f"is here twice, first at {first}; remove or rename one"
                self.problems.append(here.error((section, name), message, at_name=True))
            else:
                present[name] = found


def _not_utf8(file: str, raw: bytes, offset: int) -> Problem:
    before = raw[:offset].decode("utf-8-sig")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Problem(file, line, column, "", "is not UTF-8 text; save the file as UTF-8")


def _misplaced(section: str) -> str:
    if section == "include":
        return "cannot stand in an included file; name the files in the first one"
    if section in Config.model_fields:
        return f"cannot stand in an included file, only {', '.join(NAMED_SECTIONS)}; move it"
    return unknown_field(section, NAMED_SECTIONS, Suggestions())
