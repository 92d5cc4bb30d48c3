"""Where authorities are answered: the listeners that the certificates of the file need."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import structlog

from streamd.certificates.listener import ChallengeListener
from streamd.certificates.spec import CertificateSpec, ListenChallenge

log = structlog.get_logger()

_Place = tuple[str, int]


class ChallengeListeners:
    """Listeners by host and port; a place that cannot be had is tried again each time.

    Args:
        answers: the directory of answers.
    """

    def __init__(self, answers: Path) -> None:
        self._answers = answers
        self._listeners: dict[_Place, ChallengeListener] = {}
        self._complaints: dict[_Place, str] = {}

    async def listen(self, specs: Iterable[CertificateSpec], https_port: int | None) -> None:
        """Listen where authorities come for these certificates, and nowhere else.

        Args:
            specs: of the file.
            https_port: where people who come there are sent.
        """
        wanted: dict[_Place, set[str]] = {}
        for spec in specs:
            place = _place(spec)
            if place is not None:
                wanted.setdefault(place, set()).update(spec.domains)
        for place in self._listeners.keys() - wanted.keys():
            await self._listeners.pop(place).stop()
        for place in self._complaints.keys() - wanted.keys():
            del self._complaints[place]
        for place, names in wanted.items():
            listener = self._listeners.get(place) or await self._started(place)
            if listener is not None:
                listener.names, listener.https_port = names, https_port

    def complaint(self, spec: CertificateSpec) -> str | None:
        """Return why an authority could not be answered for a certificate; None: it could."""
        place = _place(spec)
        return self._complaints.get(place) if place is not None else None

    async def close(self) -> None:
        """Listen no more."""
        for listener in self._listeners.values():
            await listener.stop()
        self._listeners.clear()

    async def _started(self, place: _Place) -> ChallengeListener | None:
        listener = ChallengeListener(*place, self._answers)
        try:
            await listener.start()
        except OSError as error:
            said = await asyncio.to_thread(listener.complaint, error)
            if self._complaints.get(place) != said:
                log.error("certificates.not_listening", error=said)
            self._complaints[place] = said
            return None
        self._complaints.pop(place, None)
        self._listeners[place] = listener
        return listener


def _place(spec: CertificateSpec) -> _Place | None:
    challenge = spec.acme.challenge if spec.acme is not None else None
    return (challenge.host, challenge.port) if isinstance(challenge, ListenChallenge) else None
