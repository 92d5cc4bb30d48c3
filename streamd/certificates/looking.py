"""`python -m streamd.certificates.looking`: looks at certificates in a process of its own.

`cryptography` takes 17 MB, which the daemon need not keep for what it does once in weeks. What to
look at is read as JSON from standard input, what was found is said as JSON.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from streamd.certificates.record import Installed
from streamd.certificates.spec import CertificateSpec, as_data, from_data
from streamd.certificates.store import Store

TIMEOUT_S = 60.0
_MOST_SAID = 300


class LookError(Exception):
    """It could not be looked. The message says why."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found.

    Attributes:
        errors: why a certificate cannot be served as it should be, by name.
        doubts: what is wrong with own files that can be served, by name.
        set_aside: files that were damaged and renamed, with the reason.
        unusable: names of certificates whose files could not be read or made.
        installed: names of certificates whose own files are served from now on.
        unfit_keys: names of certificates whose error is about the key alone.
    """

    errors: Mapping[str, str]
    doubts: Mapping[str, Sequence[str]]
    set_aside: Sequence[tuple[str, str]] = ()
    unusable: Sequence[str] = ()
    installed: Sequence[str] = ()
    unfit_keys: Sequence[str] = ()


def serve_all(directory: Path, outbox: Path, specs: Sequence[CertificateSpec]) -> Seen:
    """Make sure that each certificate has files which can be served (`serving.serve`). Blocks.

    Raises:
        LookError: it could not be looked.
    """
    return _look({"directory": str(directory), "outbox": str(outbox)}, specs)


def judge_own(specs: Sequence[CertificateSpec]) -> Seen:
    """Look at the files of own certificates, and touch nothing. Blocks.

    Raises:
        LookError: it could not be looked.
    """
    return _look({"directory": None, "outbox": ""}, specs)


def _look(task: dict[str, object], specs: Sequence[CertificateSpec]) -> Seen:
    given = json.dumps(task | {"specs": [as_data(spec) for spec in specs]})
    argv = (sys.executable, "-P", "-m", "streamd.certificates.looking")
    try:
        done = subprocess.run(
            argv, input=given, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
        data = json.loads(done.stdout)
        data["set_aside"] = [tuple(each) for each in data["set_aside"]]
        return Seen(**data)
    except subprocess.TimeoutExpired as error:
        raise LookError(f"no answer within {TIMEOUT_S:.0f} s; the disk may hang") from error
    except OSError as error:
        raise LookError(f"{sys.executable}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        words = done.stderr.strip().splitlines()
        last = words[-1][:_MOST_SAID] if words else f"status {done.returncode}"
        raise LookError(f"the process that looks at certificates ended: {last}") from error


def main() -> int:
    """Look, say what was found, and return the exit status."""
    task = json.load(sys.stdin)
    specs = [from_data(each) for each in task["specs"]]
    if task["directory"] is None:
        seen = _judged(specs)
    else:
        seen = _served(Store(Path(task["directory"])), specs, Path(task["outbox"]))
    sys.stdout.write(json.dumps(asdict(seen)))
    return 0


def _served(store: Store, specs: Sequence[CertificateSpec], outbox: Path) -> Seen:
    # Here, so that whoever only asks for it does not have `cryptography` in memory.
    from streamd.certificates.serving import serve  # noqa: PLC0415

    errors: dict[str, str] = {}
    unusable: list[str] = []
    installed: list[str] = []
    for spec in specs:
        before = _installed(store, spec.name)
        record, wrong = serve(store, spec, outbox)
        if wrong is not None:
            errors[spec.name] = wrong
        if record is None:
            unusable.append(spec.name)
        elif record.installed != before and spec.acme is None and wrong is None:
            installed.append(spec.name)
    set_aside = [(str(path), reason) for path, reason in store.set_aside]
    return Seen(errors, {}, set_aside, unusable, installed)


def _judged(specs: Sequence[CertificateSpec]) -> Seen:
    from streamd.certificates import own_files  # noqa: PLC0415 - likewise
    from streamd.certificates.pem import PairError, UnfitKeyError  # noqa: PLC0415 - likewise

    errors: dict[str, str] = {}
    doubts: dict[str, list[str]] = {}
    unfit_keys: list[str] = []
    for spec in specs:
        try:
            doubts[spec.name] = own_files.doubts(spec, own_files.read_pair(spec))
        except PairError as error:
            errors[spec.name] = str(error)
            if isinstance(error, UnfitKeyError):
                unfit_keys.append(spec.name)
    return Seen(errors, doubts, unfit_keys=unfit_keys)


def _installed(store: Store, name: str) -> Installed | None:
    try:
        return store.look_at(name).installed
    except OSError:
        return None


if __name__ == "__main__":
    sys.exit(main())
