"""What is right about the file, as `streamd check` says it. Pure."""

from collections.abc import Iterator, Sequence

from streamd.config.models import Config
from streamd.doctor.finding import AS_ROOT, Finding, error, ok, split_advice, unknown, warning
from streamd.errors import Problem


def judge_file(
    path: str, config: Config | None, problems: Sequence[Problem], *, hidden: bool = False
) -> Iterator[Finding]:
    """Yield what is said of the file.

    Args:
        path: of the file.
        config: what it says; None when it cannot be used.
        problems: what is wrong with it, and what may be.
        hidden: this user may not read it, and is not whom streamd runs as.
    """
    if hidden:
        yield unknown(path, "cannot be read by this user", AS_ROOT)
        return
    if config is not None:
        counts = (
            _count(len(config.servers), "server"),
            _count(len(config.keys), "key"),
            _count(len(config.streams), "stream"),
            _count(len(config.targets), "target"),
        )
        yield ok(path, ", ".join(counts))
    for problem in problems:
        where = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
        what, do = split_advice(problem.message)
        told = f"{problem.path}: {what}" if problem.path else what
        yield (warning if problem.warning else error)(where, told, do)


def judge_fallback(path: str, *, used: bool) -> Finding:
    """Say what the other checks go by, when the file cannot be used."""
    if used:
        return unknown(path, "all that follows goes by this, the last good configuration")
    return unknown(path, "no last good configuration here: what depends on the file is left out")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
