"""An ACME authority (RFC 8555): the account there, and one certificate from it.

Everything blocks, and `acme` takes 30 MB, so this is imported in the process of an order alone.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import requests
from acme import challenges, client, errors, messages
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.errors import DeserializationError
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from streamd.certificates.answers import AnswerError, Answers
from streamd.certificates.lifetime import Window
from streamd.certificates.spec import AcmeSpec
from streamd.certificates.store import Store
from streamd.certificates.words import Refusal
from streamd.state import write_private
from streamd.version import __version__

NETWORK_TIMEOUT_S = 30
ORDER_TIMEOUT_S = 180.0
_NONCE_TRIES = 20
_BAD_NONCE = "badNonce"


class RefusedError(Exception):
    """There is no certificate.

    Attributes:
        refusals: why, at least one.
        reached: the authority was there.
        profiles: that it has.
    """

    def __init__(self, *refusals: Refusal, reached: bool, profiles: tuple[str, ...] = ()) -> None:
        super().__init__(refusals[0].kind)
        self.refusals = refusals
        self.reached = reached
        self.profiles = profiles


class _Network(client.ClientNetwork):
    """Keeps what an answer said of waiting, and takes another nonce as often as it has to."""

    retry_after: str | None = None

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        response = super()._send_request(method, url, *args, **kwargs)
        self.retry_after = response.headers.get("Retry-After")
        return response

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a signed request (RFC 8555, 6.5: a refused nonce is no reason to give up)."""
        for _ in range(_NONCE_TRIES - 1):
            try:
                return self._post_once(*args, **kwargs)
            except messages.Error as error:
                if error.code != _BAD_NONCE:
                    raise
        return self._post_once(*args, **kwargs)


class Authority:
    """An authority, with an account of ours. Every method raises RefusedError.

    Args:
        spec: of the authority.
        store: where the account is kept.
    """

    def __init__(self, spec: AcmeSpec, store: Store) -> None:
        self._spec = spec
        self._store = store
        self._path = store.accounts / f"{hashlib.sha256(spec.directory.encode()).hexdigest()}.json"
        self._key, self._account = self._load()
        self._network = _Network(
            self._key,
            alg=ES256,
            # `requests` takes the path of a bundle in the place of a truth.
            verify_ssl=spec.ca_file or True,  # type: ignore[arg-type]
            user_agent=f"streamd/{__version__}",
            timeout=NETWORK_TIMEOUT_S,
        )
        with self._refusals():
            directory = client.ClientV2.get_directory(spec.directory, self._network)
            self._client = client.ClientV2(directory, self._network)

    def obtain(self, request: bytes, answers: Answers) -> str:
        """Return a certificate with what vouches for it, as PEM.

        Args:
            request: for it, as PEM.
            answers: where the authority is answered; they stay until it has all that it wants.
        """
        self._register()
        deadline = datetime.now() + timedelta(seconds=ORDER_TIMEOUT_S)  # noqa: DTZ005 - acme's own
        with self._refusals():
            order = self._client.new_order(request, profile=self._spec.profile)
            try:
                self._answer(order, answers)
                found = self._client.poll_and_finalize(order, deadline)
            finally:
                answers.take_back()
        return str(found.fullchain_pem)

    def window(self, ari: str) -> tuple[Window | None, float | None]:
        """Return when a certificate is to be renewed, and after how long to ask again (seconds).

        None where the authority does not say.

        Args:
            ari: what the authority knows the certificate by.
        """
        with self._refusals():
            try:
                url = self._client.directory["renewalInfo"]
            except KeyError:
                return None, None
            answer = self._network.get(f"{url}/{ari}", content_type="application/json")
            told = messages.RenewalInfo.from_json(answer.json()).suggested_window
            return Window(told.start.timestamp(), told.end.timestamp()), self._retry_after_s()

    def _answer(self, order: messages.OrderResource, answers: Answers) -> None:
        chosen = []
        for authorization in order.authorizations:
            if authorization.body.status == messages.STATUS_VALID:
                continue  # shown before, and remembered
            name = str(authorization.body.identifier.value)
            offered = [
                each for each in authorization.body.challenges if each.chall.typ == answers.kind
            ]
            if not offered or not isinstance(
                offered[0].chall, challenges.KeyAuthorizationChallenge
            ):
                raise RefusedError(
                    Refusal(answers.kind, f"does not offer {answers.kind}", name), reached=True
                )
            response, text = offered[0].chall.response_and_validation(self._key)
            answers.give(name, offered[0].chall.encode("token"), text)
            chosen.append((offered[0], response))
        if chosen:
            answers.all_given()
        for challenge, response in chosen:
            self._client.answer_challenge(challenge, response)

    # The account

    def _load(self) -> tuple[JWKEC, messages.RegistrationResource | None]:
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            key = JWKEC.from_json(data["key"])
            account = data["account"]
            known = messages.RegistrationResource.from_json(account) if account else None
            if not isinstance(key, JWKEC):
                raise TypeError("its key is of another kind")
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, DeserializationError) as error:
            self._store.put_aside(self._path, str(error))
        else:
            return key, known
        return JWKEC(key=ec.generate_private_key(ec.SECP256R1())), None

    def _keep(self) -> None:
        account = None if self._account is None else self._account.to_json()
        data = {"directory": self._spec.directory, "key": self._key.to_json(), "account": account}
        write_private(self._path, json.dumps(data, default=lambda each: each.to_json()))

    def _register(self) -> None:
        """Make sure that the authority knows the account; one that it forgot is made anew."""
        if self._account is not None:
            self._network.account = self._account
            try:
                with self._refusals():
                    self._client.query_registration(self._account)
            except RefusedError as error:
                if error.refusals[0].kind != "accountDoesNotExist":
                    raise
                self._network.account = None
            else:
                return
        # Before the account is asked for, so that one which is made is never lost.
        self._account = None
        self._keep()
        with self._refusals():
            try:
                self._account = self._client.new_account(self._registration())
            except errors.ConflictError as error:
                found = messages.RegistrationResource(
                    body=messages.Registration(), uri=str(error.location)
                )
                self._account = self._network.account = found
        self._keep()

    def _registration(self) -> messages.NewRegistration:
        binding = self._spec.binding
        bound = None
        if binding is not None:
            try:
                bound = messages.ExternalAccountBinding.from_data(
                    self._key.public_key(), binding.kid, binding.hmac_key, self._client.directory
                )
            except ValueError as error:
                raise RefusedError(
                    Refusal("eab", "`hmac_key` is not base64"), reached=True
                ) from error
        return messages.NewRegistration.from_data(
            email=self._spec.email, terms_of_service_agreed=True, external_account_binding=bound
        )

    # What it refuses

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Translate what `acme` and the network raise."""
        try:
            yield
        except errors.ValidationError as error:
            raise RefusedError(*_invalid(error), reached=True) from error
        except errors.IssuanceError as error:
            raise self._refused(error.error) from error
        except messages.Error as error:
            raise self._refused(error) from error
        except AnswerError as error:
            kind = "webroot" if self._spec.answered_by != "dns" else "dns-update"
            raise RefusedError(Refusal(kind, str(error)), reached=False) from error
        except errors.TimeoutError as error:
            told = Refusal("timeout", f"nothing came of it within {ORDER_TIMEOUT_S:.0f} s")
            raise RefusedError(told, reached=True) from error
        except requests.exceptions.SSLError as error:
            raise RefusedError(Refusal("untrusted", _reason(error)), reached=False) from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise RefusedError(Refusal("unreachable", _reason(error)), reached=False) from error
        except (errors.Error, JoseError, KeyError, ValueError) as error:
            told = Refusal("unreachable", f"it does not speak ACME ({type(error).__name__})")
            raise RefusedError(told, reached=False) from error

    def _refused(self, problem: messages.Error) -> RefusedError:
        kind = problem.code or "unknown"
        if self._spec.binding is not None and kind in ("unauthorized", "malformed"):
            kind = "eab" if self._account is None else kind
        retry_after_s = self._retry_after_s()
        refusals = [
            Refusal(each.code or kind, str(each.detail or ""), str(name.value), retry_after_s)
            for each in problem.subproblems or ()
            if (name := each.identifier) is not None
        ] or [Refusal(kind, str(problem.detail or ""), "", retry_after_s)]
        return RefusedError(*refusals, reached=kind != "serverInternal", profiles=self._profiles())

    def _profiles(self) -> tuple[str, ...]:
        try:
            return tuple(self._client.directory.meta.profiles)
        except (AttributeError, KeyError, TypeError):
            return ()

    def _retry_after_s(self) -> float | None:
        told = self._network.retry_after
        return float(told) if told is not None and told.isdecimal() else None


def _invalid(error: errors.ValidationError) -> list[Refusal]:
    """Return what was wrong with each name."""
    found = []
    for authorization in error.failed_authzrs:
        name = str(authorization.body.identifier.value)
        for each in authorization.body.challenges:
            if each.error is not None:
                found.append(Refusal(each.error.code or "unknown", str(each.error.detail), name))
                break
    return found or [Refusal("unknown", "no name could be shown to be ours")]


def _reason(error: BaseException) -> str:
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
