"""An ACME authority (RFC 8555): the account there, and one certificate from it.

Everything blocks, and `acme` takes 30 MB, so this is imported in the process of an order alone.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import requests
from acme import challenges, client, errors, messages
from josepy.errors import Error as JoseError
from josepy.jwa import ES256

from streamd.certificates.accounts import Account, AccountFile
from streamd.certificates.answers import AnswerError, Answers
from streamd.certificates.attempts import Failure
from streamd.certificates.lifetime import Window
from streamd.certificates.refusals import (
    RefusedError,
    UntrustingError,
    innermost_reason,
    invalid,
    make_sure_trusted,
    seconds_to_wait,
)
from streamd.certificates.spec import AcmeSpec
from streamd.certificates.store import Store
from streamd.certificates.words import Refusal
from streamd.version import __version__

NETWORK_TIMEOUT_S = 30
ORDER_TIMEOUT_S = 180.0
_NONCE_TRIES = 20
_BAD_NONCE = "badNonce"
_BUSY, _FIRST_OF_SERVER = (429,), 500


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
        self._file = AccountFile(store, spec.directory)
        self._lost: Failure = "unreachable"
        """How a connection that breaks now would count."""
        self._account = self._file.read() or Account.new(spec.email)
        self._network = _Network(
            self._account.key,
            alg=ES256,
            # `requests` takes the path of a bundle in the place of a truth.
            verify_ssl=spec.ca_file or True,  # type: ignore[arg-type]
            user_agent=f"streamd/{__version__}",
            timeout=NETWORK_TIMEOUT_S,
        )
        with self._refusals():
            make_sure_trusted(spec.ca_file)
            directory = client.ClientV2.get_directory(spec.directory, self._network)
            self._client = client.ClientV2(directory, self._network)

    def obtain(self, request: bytes, answers: Answers, about_to_issue: Callable[[], None]) -> str:
        """Return a certificate with what vouches for it, as PEM.

        Args:
            request: for it, as PEM.
            answers: where the authority is answered; they stay until it has all that it wants.
            about_to_issue: called before the authority is asked to issue.
        """
        self._make_sure_of_profile()
        self._register()
        try:
            with self._refusals():
                self._lost = "faulty"
                order = self._client.new_order(request, profile=self._spec.profile)
                self._answer(order, answers)
                deadline = _deadline()
                order = self._client.poll_authorizations(order, deadline)
            about_to_issue()
            with self._refusals():
                self._lost = "unknown"
                found = self._client.finalize_order(order, deadline)
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
                    Refusal(answers.kind, f"does not offer {answers.kind}", name), failure="refused"
                )
            response, text = offered[0].chall.response_and_validation(self._account.key)
            answers.give(name, offered[0].chall.encode("token"), text)
            chosen.append((offered[0], response))
        if chosen:
            answers.all_given()
        for challenge, response in chosen:
            self._client.answer_challenge(challenge, response)

    # The account

    def _register(self) -> None:
        """Make sure that the authority knows the account; one that it forgot is made anew."""
        known = self._account.known
        if known is not None and self._is_known(known):
            if self._account.email != self._spec.email:
                self._write_to(known)
            return
        # Before the account is asked for, so that one which is made is never lost.
        self._keep(replace(self._account, known=None, email=self._spec.email))
        with self._refusals():
            try:
                made = self._client.new_account(self._registration())
            except errors.ConflictError as error:
                made = messages.RegistrationResource(
                    body=messages.Registration(), uri=str(error.location)
                )
                self._network.account = made
        self._keep(replace(self._account, known=made))

    def _is_known(self, known: messages.RegistrationResource) -> bool:
        self._network.account = known
        try:
            with self._refusals():
                self._client.query_registration(known)
        except RefusedError as error:
            kind = error.refusals[0].kind
            if kind == "unauthorized":  # it was closed, and with it its key
                self._file.set_aside("the authority has closed this account")
                self._account = Account.new(self._spec.email)
                self._network.key = self._account.key
            elif kind != "accountDoesNotExist":
                raise
            self._network.account = None
            return False
        return True

    def _write_to(self, known: messages.RegistrationResource) -> None:
        """Tell the authority of another address, or of none, that it shall write to."""
        email = self._spec.email
        contact = () if email is None else (f"{messages.Registration.email_prefix}{email}",)
        with self._refusals():
            self._client.update_registration(known, messages.Registration(contact=contact))
        self._keep(replace(self._account, email=email))

    def _keep(self, account: Account) -> None:
        self._account = account
        self._file.write(account)

    def _registration(self) -> messages.NewRegistration:
        binding = self._spec.binding
        bound = None
        if binding is not None:
            try:
                bound = messages.ExternalAccountBinding.from_data(
                    self._account.key.public_key(),
                    binding.kid,
                    binding.hmac_key,
                    self._client.directory,
                )
            except ValueError as error:
                told = Refusal("eab", "`hmac_key` is not base64")
                raise RefusedError(told, failure="unreachable") from error
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
            raise RefusedError(*invalid(error), failure="refused") from error
        except errors.IssuanceError as error:
            raise self._refused(error.error) from error
        except messages.Error as error:
            raise self._refused(error) from error
        except AnswerError as error:
            kind = "webroot" if self._spec.answered_by != "dns" else "dns-update"
            raise self._failed(kind, str(error)) from error
        except errors.TimeoutError as error:
            detail = f"nothing came of it within {ORDER_TIMEOUT_S:.0f} s"
            raise self._failed("timeout", detail) from error
        except UntrustingError as error:
            raise self._failed("ca-file", f"{self._spec.ca_file}: {error}") from error
        except requests.exceptions.RequestException as error:
            raise self._not_reached(error) from error
        except (errors.Error, JoseError, LookupError, ValueError, TypeError) as error:
            raise self._not_spoken(error) from error

    def _refused(self, problem: messages.Error) -> RefusedError:
        kind = problem.code or "unknown"
        if self._spec.binding is not None and kind in ("unauthorized", "malformed"):
            kind = "eab" if self._account.known is None else kind
        retry_after_s = self._retry_after_s()
        refusals = [
            Refusal(each.code or kind, str(each.detail or ""), str(name.value), retry_after_s)
            for each in problem.subproblems or ()
            if (name := each.identifier) is not None
        ] or [Refusal(kind, str(problem.detail or ""), "", retry_after_s)]
        failure: Failure = "faulty" if kind == "serverInternal" else "refused"
        return RefusedError(*refusals, failure=failure, profiles=self._profiles())

    def _failed(self, kind: str, detail: str) -> RefusedError:
        told = Refusal(kind, detail, retry_after_s=self._retry_after_s())
        return RefusedError(told, failure=self._lost)

    def _not_reached(self, error: requests.exceptions.RequestException) -> RefusedError:
        if isinstance(error, requests.exceptions.JSONDecodeError):
            return self._not_spoken(error)
        is_untrusted = isinstance(error, requests.exceptions.SSLError)
        return self._failed("untrusted" if is_untrusted else "unreachable", innermost_reason(error))

    def _not_spoken(self, error: Exception) -> RefusedError:
        """Return what an answer means that is none of ACME: that of a server in front, mostly."""
        answer = error.args[0] if error.args else None
        if isinstance(answer, requests.Response):
            detail = f"it answers {answer.status_code} {answer.reason}"
            is_ill = answer.status_code in _BUSY or answer.status_code >= _FIRST_OF_SERVER
            return self._failed("serverInternal" if is_ill else "unreachable", detail)
        return self._failed(
            "unreachable", f"what answers there does not speak ACME ({type(error).__name__})"
        )

    def _make_sure_of_profile(self) -> None:
        """Refuse an unknown profile, which an authority without any would just ignore."""
        wanted, known = self._spec.profile, self._profiles()
        if wanted is not None and wanted not in known:
            told = Refusal("invalidProfile", f"there is no {wanted}")
            raise RefusedError(told, failure="unreachable", profiles=known)

    def _profiles(self) -> tuple[str, ...]:
        try:
            return tuple(self._client.directory.meta.profiles or ())
        except (AttributeError, LookupError, TypeError):
            return ()

    def _retry_after_s(self) -> float | None:
        return seconds_to_wait(self._network.retry_after)


def _deadline() -> datetime:
    return datetime.now() + timedelta(seconds=ORDER_TIMEOUT_S)  # noqa: DTZ005 - acme's own
