"""What an authority may say beside a certificate: pebble, behind a directory that tells more.

Debian's pebble has neither profiles nor advice on renewals, so a server of the tests puts them into
its directory. The rest is pebble itself, but for answers that no sound authority gives.
"""

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from acme.client import ClientNetwork

from streamd.certificates import pem
from streamd.certificates.answers import FileAnswers
from streamd.certificates.authority import Authority
from streamd.certificates.refusals import RefusedError
from streamd.certificates.spec import WELL_KNOWN, AcmeSpec, WebrootChallenge
from streamd.certificates.store import Store
from streamd.certificates.words import Surroundings, explain
from tests.support.pebble import Pebble, pebble
from tests.support.ports import free_port
from tests.support.tls import authority
from tests.support.web import files_served

KEY = pem.make_key("ecdsa")

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


@dataclass
class Front:
    """A web server that answers as it is told to: by path."""

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def tell(self, path: str, data: Any, **headers: str) -> None:
        told = {"Content-Type": "application/json"} | headers
        self.answers[path] = (200, told, json.dumps(data).encode())


@pytest.fixture
def front() -> Iterator[Front]:
    running = Front(free_port())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            running.asked.append(self.path)
            status, headers, body = running.answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", running.port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Issuer:
    """A running authority, and the directory that its answers are served from."""

    pebble: Pebble
    root: Path

    def directory(self) -> dict[str, Any]:
        """Return what its directory holds."""
        answer = requests.get(self.pebble.directory, verify=str(self.pebble.ca_file), timeout=10)
        data: dict[str, Any] = answer.json()
        return data

    def spec(self, **changes: Any) -> AcmeSpec:
        spec = AcmeSpec(
            self.pebble.directory,
            WebrootChallenge(str(self.root)),
            ca_file=str(self.pebble.ca_file),
        )
        return replace(spec, **changes)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    root = tmp_path_factory.mktemp("root")
    with (
        pebble(tmp_path_factory.mktemp("pebble")) as running,
        files_served(root, running.http_port),
    ):
        yield Issuer(running, root)


@pytest.fixture(autouse=True)
def nothing_stays_connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what the end of a process closes where orders are carried out."""
    made: list[ClientNetwork] = []
    real = ClientNetwork.__init__

    def init(self: ClientNetwork, *args: Any, **options: Any) -> None:
        made.append(self)
        real(self, *args, **options)

    monkeypatch.setattr(ClientNetwork, "__init__", init)
    yield
    for each in made:
        each.session.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "certificates")
    made.prepare()
    return made


def obtained(spec: AcmeSpec, store: Store, name: str = "a.example.test") -> str:
    """Return a certificate, or raise RefusedError."""
    assert isinstance(spec.challenge, WebrootChallenge)
    answers = FileAnswers(Path(spec.challenge.directory, WELL_KNOWN))
    request = pem.signing_request(KEY, [name])
    return Authority(spec, store).obtain(request, answers, lambda: None)


def refusal(spec: AcmeSpec, store: Store) -> tuple[RefusedError, str]:
    """Return why there is no certificate, and how an operator is told."""
    with pytest.raises(RefusedError) as caught:
        obtained(spec, store)
    (told,) = caught.value.refusals
    return caught.value, explain(told, Surroundings("webroot", profiles=caught.value.profiles))


def account(store: Store) -> dict[str, Any]:
    (path,) = store.accounts.glob("*.json")
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def test_advice_on_a_renewal_is_asked_for_by_what_the_authority_knows_it_by(
    issuer: Issuer, store: Store, front: Front
) -> None:
    found = pem.read(obtained(issuer.spec(), store))
    assert found.ari is not None
    assert Authority(issuer.spec(), store).window(found.ari) == (None, None)

    front.tell("/dir", issuer.directory() | {"renewalInfo": front.url("/ari")})
    window = {"start": "2026-11-30T00:00:00Z", "end": "2026-12-01T12:00:00.5Z"}
    front.tell(f"/ari/{found.ari}", {"suggestedWindow": window}, **{"Retry-After": "21600"})
    told, again_s = Authority(issuer.spec(directory=front.url("/dir")), store).window(found.ari)
    assert told is not None
    assert told.start == datetime(2026, 11, 30, tzinfo=UTC).timestamp()
    assert told.end - told.start == pytest.approx(36 * 3600, abs=1)
    assert again_s == 21600
    assert front.asked == ["/dir", f"/ari/{found.ari}"]


def test_a_profile_is_checked_before_anything_is_ordered(
    issuer: Issuer, store: Store, front: Front
) -> None:
    data = issuer.directory()
    profiles = {"classic": "https://ca/classic", "shortlived": "https://ca/shortlived"}
    front.tell("/dir", data | {"meta": {**data["meta"], "profiles": profiles}})
    spec = issuer.spec(directory=front.url("/dir"), profile="short-lived")
    error, told = refusal(spec, store)
    assert error.failure == "unreachable"  # it counts for nothing
    assert "it has classic, shortlived" in told
    assert not [*store.accounts.iterdir()]
    assert pem.read(obtained(replace(spec, profile="shortlived"), store)).domains

    _, told = refusal(issuer.spec(profile="shortlived"), store)  # which pebble would just ignore
    assert "it has none" in told


IN_AN_HOUR = "in an hour"


@pytest.mark.parametrize(
    ("answer", "words", "wait_s"),
    [
        ((503, {"Retry-After": "120"}, b"<html>"), "which passes: it answers 503", 120),
        ((429, {"Retry-After": IN_AN_HOUR}, b""), "which passes: it answers 429", 3600),
        ((502, {"Retry-After": "soon"}, b""), "which passes: it answers 502", None),
        ((404, {}, b"<html>"), "cannot be reached: it answers 404", None),
        ((200, {}, b"<html>"), "does not speak ACME", None),
        ((200, {}, b"[]"), "does not speak ACME", None),
        ((200, {}, b"{}"), "does not speak ACME", None),
        ((200, {}, b"\xff\xfe"), "does not speak ACME", None),
    ],
)
def test_what_does_not_answer_as_an_authority_does_is_told_and_counts_for_nothing(
    issuer: Issuer, store: Store, front: Front, answer: Answer, words: str, wait_s: float | None
) -> None:
    status, headers, body = answer
    then = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    told_headers = {name: text.replace(IN_AN_HOUR, then) for name, text in headers.items()}
    front.answers["/dir"] = (status, told_headers, body)
    error, told = refusal(issuer.spec(directory=front.url("/dir")), store)
    assert words in told
    assert error.failure == "unreachable"
    waits = error.refusals[0].retry_after_s
    assert waits == (wait_s if wait_s is None else pytest.approx(wait_s, abs=60))


def test_a_file_of_trusted_certificates_that_is_of_no_use_is_named(
    issuer: Issuer, store: Store, tmp_path: Path
) -> None:
    missing, garbage = tmp_path / "missing.pem", tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    _, told = refusal(issuer.spec(ca_file=str(missing)), store)
    assert f"`acme.ca_file` cannot be used, {missing}: it cannot be read: No such file" in told
    _, told = refusal(issuer.spec(ca_file=str(garbage)), store)
    assert "it holds no certificate in PEM" in told
    _, told = refusal(issuer.spec(ca_file=str(authority(tmp_path).ca_file)), store)
    assert "the authority's own certificate is not trusted" in told


def test_an_account_that_was_closed_is_set_aside_and_another_one_made(
    issuer: Issuer, store: Store
) -> None:
    obtained(issuer.spec(), store)
    before = account(store)
    client = Authority(issuer.spec(), store)
    client._register()
    known = client._account.known
    assert known is not None
    client._client.deactivate_registration(known)

    assert pem.read(obtained(issuer.spec(), store)).domains
    after = account(store)
    assert after["key"] != before["key"]
    assert after["account"]["uri"] != before["account"]["uri"]
    ((aside, reason),) = store.set_aside
    assert json.loads(aside.read_text()) == before
    assert "closed" in reason
    obtained(issuer.spec(), store)
    assert account(store) == after


def test_another_address_is_told_to_the_authority_and_the_account_stays(
    issuer: Issuer, store: Store
) -> None:
    obtained(issuer.spec(email="first@example.test"), store)
    before = account(store)
    for email in ("second@example.test", None):
        obtained(issuer.spec(email=email), store)
        client = Authority(issuer.spec(email=email), store)
        client._register()
        known = client._network.account
        assert known is not None
        assert known.body.contact == (() if email is None else (f"mailto:{email}",))
        assert account(store)["account"]["uri"] == before["account"]["uri"]
        assert account(store)["email"] == email


@pytest.mark.parametrize(
    ("step", "failure", "is_noted"),
    [
        ("new_order", "faulty", False),
        ("poll_authorizations", "faulty", False),
        ("finalize_order", "unknown", True),  # and it may be issued all the same
    ],
)
def test_a_connection_that_breaks_counts_by_how_far_the_order_came(
    issuer: Issuer,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    failure: str,
    is_noted: bool,
) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise requests.exceptions.ConnectionError("the line is dead")

    client = Authority(issuer.spec(), store)
    monkeypatch.setattr(client._client, step, broken)
    noted: list[bool] = []
    answers = FileAnswers(issuer.root / WELL_KNOWN)
    with pytest.raises(RefusedError) as caught:
        client.obtain(
            pem.signing_request(KEY, ["b.example.test"]), answers, lambda: noted.append(True)
        )
    assert caught.value.failure == failure
    assert noted == [True] * is_noted
    assert not [*(issuer.root / WELL_KNOWN).glob("*")]


def test_nothing_is_issued_that_could_not_be_written_down(issuer: Issuer, store: Store) -> None:
    def no_space() -> None:
        raise OSError(28, "No space left on device")

    client = Authority(issuer.spec(), store)
    before = issuer.pebble.log.read_text().count("Issued certificate")
    answers = FileAnswers(issuer.root / WELL_KNOWN)
    with pytest.raises(OSError, match="No space left"):
        client.obtain(pem.signing_request(KEY, ["c.example.test"]), answers, no_space)
    assert not [*(issuer.root / WELL_KNOWN).glob("*")]
    assert issuer.pebble.log.read_text().count("Issued certificate") == before
