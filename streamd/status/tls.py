"""The certificate that the status endpoint is served with, read again when it has changed."""

import ssl
from pathlib import Path

import structlog

from streamd.errors import SettingsError

log = structlog.get_logger()


class ServedTls:
    """A certificate in files that are replaced while it is served.

    Args:
        certificate: paths of the chain and its key.

    Attributes:
        certificate: the same.
        context: to listen with; a connection takes what it holds when the connection begins.

    Raises:
        OSError: they cannot be read, or do not go together (`ssl.SSLError`).
    """

    def __init__(self, certificate: tuple[str, str]) -> None:
        self.certificate = certificate
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._stamp: tuple[int, int] | None = None
        self._load()

    def renew(self) -> None:
        """Read the files again where they are others. Blocks; what cannot be read is logged."""
        try:
            if self._stamp != self._stamp_now():
                self._load()
        except OSError as error:
            log.error("status.certificate_unreadable", error=str(error))

    def _load(self) -> None:
        stamp = self._stamp_now()
        self.context.load_cert_chain(*self.certificate)
        self._stamp = stamp

    def _stamp_now(self) -> tuple[int, int]:
        status = Path(self.certificate[0]).stat()
        return status.st_ino, status.st_mtime_ns


def served_tls(certificate: tuple[str, str] | None) -> ServedTls | None:
    """Return what a certificate is served with; None for none. Blocks.

    Raises:
        SettingsError: it cannot be.
    """
    if certificate is None:
        return None
    try:
        return ServedTls(certificate)
    except OSError as error:
        raise SettingsError(
            f"daemon.status_certificate: {certificate[0]} cannot be served: {error}; see "
            "`certificates` in the status"
        ) from error
