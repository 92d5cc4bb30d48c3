"""Shows an authority that names are ours, in the DNS."""

import socket
import time

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update

from streamd.certificates.answers import AnswerError
from streamd.certificates.spec import DNS_PORT, DnsChallenge

_DNS_TIMEOUT_S = 10.0
_TTL_S = 60
_SEEN_WITHIN_S, _LOOK_EVERY_S = 30.0, 0.2


class DnsAnswers:
    """Answers as TXT records, put there by dynamic updates (RFC 2136) with a key (RFC 8945).

    Args:
        challenge: of the file.
    """

    kind = "dns-01"

    def __init__(self, challenge: DnsChallenge) -> None:
        host, _, port = challenge.server.rpartition(":")
        self._port = int(port or DNS_PORT)
        self._host = _address_of(host.strip("[]"), self._port)
        self._challenge = challenge
        try:
            self._keyring = dns.tsigkeyring.from_text({challenge.key: challenge.secret})
        except ValueError as error:
            raise AnswerError("the `secret` of `rfc2136` is not base64") from error
        self._given: list[tuple[dns.name.Name, dns.name.Name, str]] = []

    def give(self, name: str, token: str, answer: str) -> None:
        """See `Answers`."""
        record = dns.name.from_text(f"_acme-challenge.{name.removeprefix('*.')}")
        zone = self._zone_of(record)
        update = self._update(zone)
        update.add(record.relativize(zone), _TTL_S, "TXT", f'"{answer}"')
        self._send(update, zone)
        self._given.append((zone, record, answer))

    def all_given(self) -> None:
        """See `Answers`."""
        deadline = time.monotonic() + _SEEN_WITHIN_S
        for _, record, answer in self._given:
            while answer not in self._texts(record):
                if time.monotonic() > deadline:
                    raise AnswerError(f"{self._challenge.server} does not serve {record}")
                time.sleep(_LOOK_EVERY_S)
        time.sleep(self._challenge.wait_s)

    def take_back(self) -> None:
        """See `Answers`."""
        for zone, record, answer in self._given:
            update = self._update(zone)
            update.delete(record.relativize(zone), "TXT", f'"{answer}"')
            try:
                self._send(update, zone)
            except AnswerError:
                continue
        self._given.clear()

    def _update(self, zone: dns.name.Name) -> dns.update.UpdateMessage:
        algorithm = dns.name.from_text(self._challenge.algorithm)
        return dns.update.UpdateMessage(zone, keyring=self._keyring, keyalgorithm=algorithm)

    def _zone_of(self, record: dns.name.Name) -> dns.name.Name:
        if self._challenge.zone is not None:
            return dns.name.from_text(self._challenge.zone)
        name = record
        while name != dns.name.root:
            answer = self._ask(name, dns.rdatatype.SOA)
            if any(found.name == name for found in answer.answer):
                return name
            name = name.parent()
        raise AnswerError(f"{self._challenge.server} has no zone that {record} is in")

    def _texts(self, record: dns.name.Name) -> set[str]:
        answer = self._ask(record, dns.rdatatype.TXT)
        return {
            b"".join(each.strings).decode(errors="replace")
            for found in answer.answer
            if found.rdtype == dns.rdatatype.TXT
            for each in found
        }

    def _ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        try:
            return dns.query.tcp(query, self._host, timeout=_DNS_TIMEOUT_S, port=self._port)
        except (OSError, dns.exception.DNSException, EOFError) as error:
            raise AnswerError(f"{self._challenge.server}: {_said(error)}") from error

    def _send(self, update: dns.update.UpdateMessage, zone: dns.name.Name) -> None:
        try:
            answer = dns.query.tcp(update, self._host, timeout=_DNS_TIMEOUT_S, port=self._port)
        except dns.tsig.PeerError as error:
            raise AnswerError(
                f"{self._challenge.server} refuses the key {self._challenge.key} "
                f"({type(error).__name__})"
            ) from error
        except (OSError, dns.exception.DNSException, EOFError) as error:
            raise AnswerError(f"{self._challenge.server}: {_said(error)}") from error
        if answer.rcode() != dns.rcode.NOERROR:
            raise AnswerError(
                f"{self._challenge.server} answers {dns.rcode.to_text(answer.rcode())} to an "
                f"update of {zone}; let the key {self._challenge.key} update it"
            )


def _address_of(host: str, port: int) -> str:
    try:
        return str(socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)[0][4][0])
    except OSError as error:
        raise AnswerError(f"the name server {host} is not found: {_said(error)}") from error


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or "") or str(error) or type(error).__name__
