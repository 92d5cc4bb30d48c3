"""What an authority refuses and what stands in the way to it, as `acme` and the network say it."""

import ssl
import time
from email.utils import parsedate_to_datetime

from acme import errors

from streamd.certificates.attempts import Failure
from streamd.certificates.words import Refusal


class RefusedError(Exception):
    """There is no certificate.

    Attributes:
        refusals: why, at least one.
        failure: why, as it counts.
        profiles: that it has.
    """

    def __init__(
        self, *refusals: Refusal, failure: Failure, profiles: tuple[str, ...] = ()
    ) -> None:
        super().__init__(refusals[0].kind)
        self.refusals = refusals
        self.failure = failure
        self.profiles = profiles


class UntrustingError(Exception):
    """A `ca_file` that cannot be used. The message says why."""


def make_sure_trusted(ca_file: str | None) -> None:
    """Read a file of trusted certificates, of which `requests` would say little.

    Raises:
        UntrustingError: it cannot be used.
    """
    if ca_file is None:
        return
    try:
        ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise UntrustingError("it holds no certificate in PEM") from error
    except OSError as error:
        raise UntrustingError(f"it cannot be read: {error.strerror}") from error


def seconds_to_wait(retry_after: str | None) -> float | None:
    """Read a Retry-After (RFC 9110, 10.2.3): seconds, or a date. None where it says nothing."""
    if retry_after is None:
        return None
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None


def invalid(error: errors.ValidationError) -> list[Refusal]:
    """Return what was wrong with each name."""
    found = []
    for authorization in error.failed_authzrs:
        name = str(authorization.body.identifier.value)
        for each in authorization.body.challenges:
            if each.error is not None:
                found.append(Refusal(each.error.code or "unknown", str(each.error.detail), name))
                break
    return found or [Refusal("unknown", "no name could be shown to be ours")]


def innermost_reason(error: BaseException) -> str:
    """Return the innermost reason of an error of `requests`, which wraps others in it."""
    while True:
        inner = getattr(error, "reason", None)
        found = (
            inner
            if isinstance(inner, BaseException)
            else next((each for each in error.args if isinstance(each, BaseException)), None)
        )
        if found is None:
            return str(error).rpartition(": ")[2] or type(error).__name__
        error = found
