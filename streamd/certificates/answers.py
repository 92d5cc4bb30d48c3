"""Shows an authority that names are ours, by files that are served over HTTP."""

from pathlib import Path
from typing import Protocol

from streamd.certificates.spec import TOKEN


class AnswerError(Exception):
    """An answer could not be given. The message says why."""


class Answers(Protocol):
    """Where answers are put, and taken away from afterwards."""

    kind: str

    def give(self, name: str, token: str, answer: str) -> None:
        """Put an answer there. Raises AnswerError."""

    def all_given(self) -> None:
        """Wait until whoever asks would find them. Raises AnswerError."""

    def take_back(self) -> None:
        """Take all answers away; what cannot be taken away stays."""


class FileAnswers:
    """Answers as files, one for each token.

    Args:
        directory: that they are put into; made when it is not there.
        is_private: nobody reads them but streamd.
    """

    kind = "http-01"

    def __init__(self, directory: Path, *, is_private: bool = False) -> None:
        self._directory = directory
        self._mode = 0o600 if is_private else 0o644
        self._given: list[Path] = []

    def give(self, name: str, token: str, answer: str) -> None:
        """See `Answers`."""
        if not TOKEN.fullmatch(token):
            raise AnswerError(f"the authority sent a token for {name} that is none")
        path = self._directory / token
        try:
            self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.write_text(answer, encoding="ascii")
            path.chmod(self._mode)
        except OSError as error:
            raise AnswerError(f"{error.filename or path}: {error.strerror}") from error
        self._given.append(path)

    def all_given(self) -> None:
        """See `Answers`."""

    def take_back(self) -> None:
        """See `Answers`."""
        for path in self._given:
            try:
                path.unlink(missing_ok=True)
            except OSError:
                continue
        self._given.clear()
