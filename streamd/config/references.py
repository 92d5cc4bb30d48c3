"""`${env:X}`, `${file:P}` and `${cred:NAME}`: values that stand elsewhere than in the file."""

import re
from collections.abc import Mapping
from pathlib import Path

from streamd.config.reading import UnreadableError, read_file
from streamd.config.suggestions import Suggestions
from streamd.config.user_info import UserInfo, find_user_info

MAX_SECRET_BYTES = 64 * 1024

# `$${` is a literal `${`; an opening without its `}` matches with nothing in the last group.
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")
_KINDS = ("env", "file", "cred")


class UnresolvedError(Exception):
    """A reference has no value that can stand there. Becomes a Problem; never holds a value."""


class References:
    """Resolves references, and remembers what they gave and which files were asked.

    Args:
        environment: what `${env:X}` looks in.
        credentials_directory: what `${cred:NAME}` looks in; None where the service manager
            passed no credentials.
    """

    def __init__(self, environment: Mapping[str, str], credentials_directory: Path | None) -> None:
        self._environment = environment
        self._credentials_directory = credentials_directory
        self._known: dict[tuple[str, Path], str | UnresolvedError] = {}
        self.values: dict[str, str] = {}  # value -> how it is written in the file
        self.files: set[Path] = set()

    def resolve(self, text: str, directory: Path) -> str:
        """Return a text with every reference in it replaced.

        Args:
            text: as it stands in the file.
            directory: of that file; relative paths of `${file:P}` begin there.

        Raises:
            UnresolvedError: saying what to do.
        """
        user_info = find_user_info(_REFERENCE.sub(_filler, text)) if "://" in text else None
        return _REFERENCE.sub(lambda found: self._replacement(found, directory, user_info), text)

    def _replacement(
        self, found: re.Match[str], directory: Path, user_info: UserInfo | None
    ) -> str:
        if found[0] == "$${":
            return "${"
        if not found[2]:
            raise UnresolvedError("a `${` is never closed; add the `}`, or write `$${` for `${`")
        key = (found[1], directory)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._look_up(found[1], directory)
            if isinstance(known, str):
                self.values.setdefault(known, found[0])
        if isinstance(known, UnresolvedError):
            raise known
        fault = user_info.fault(found.start(), known) if user_info is not None else None
        if fault is not None:
            raise UnresolvedError(f"`{found[0]}` {fault}")
        return known

    def _look_up(self, reference: str, directory: Path) -> str | UnresolvedError:
        kind, colon, argument = reference.partition(":")
        try:
            if kind not in _KINDS or not colon:
                return UnresolvedError(_unknown_kind(kind))
            if not argument:
                return UnresolvedError(f"`${{{kind}:}}` names nothing; write `${{{kind}:NAME}}`")
            value = getattr(self, f"_{kind}")(argument, directory)
        except UnresolvedError as error:
            return error
        if not value:
            return UnresolvedError(f"`${{{reference}}}` is empty; give it a value")
        return str(value)

    def _env(self, name: str, _: Path) -> str:
        if name not in self._environment:
            raise UnresolvedError(
                f"the environment variable {name} is not set; set it where streamd is started"
            )
        value = self._environment[name]
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise UnresolvedError(
                f"the environment variable {name} is not UTF-8 text; give it another value"
            )
        return value

    def _file(self, path: str, directory: Path) -> str:
        return self._read(directory / path)

    def _cred(self, name: str, _: Path) -> str:
        if "/" in name or name in (".", ".."):
            raise UnresolvedError("the name of a credential has no `/`; write its name alone")
        if self._credentials_directory is None:
            raise UnresolvedError(
                f"there are no credentials here; add `LoadCredential={name}:PATH` to the unit "
                "of streamd, which sets CREDENTIALS_DIRECTORY"
            )
        return self._read(self._credentials_directory / name)

    def _read(self, path: Path) -> str:
        self.files.add(path)
        try:
            text = read_file(path, MAX_SECRET_BYTES).decode()
        except UnreadableError as error:
            raise UnresolvedError(f"{path} {error}") from error
        except UnicodeDecodeError as error:
            raise UnresolvedError(f"{path} is not UTF-8 text; write it anew as text") from error
        return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def _filler(found: re.Match[str]) -> str:
    return "_" * len(found[0])


def _unknown_kind(kind: str) -> str:
    # What stands there is not repeated: it may be a password that happens to hold `${`.
    return (
        f"this `${{...}}` does not say where to look{Suggestions().nearest(kind, _KINDS)}; write "
        "`${env:NAME}`, `${file:PATH}` or `${cred:NAME}`, or `$${` for a literal `${`"
    )
