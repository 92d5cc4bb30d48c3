"""Accounts at authorities on disk: a key each, and what the authority calls the account."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from acme import messages
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.errors import DeserializationError
from josepy.jwk import JWKEC

from streamd.certificates.store import Store
from streamd.whole_file import write_whole


@dataclass(frozen=True, slots=True)
class Account:
    """An account.

    Attributes:
        key: that its requests are signed with.
        known: what the authority knows of it; None before it knows anything.
        email: that the authority was told; None for none.
    """

    key: JWKEC
    known: messages.RegistrationResource | None = None
    email: str | None = None

    @classmethod
    def new(cls, email: str | None) -> Self:
        """Return one that no authority knows yet."""
        return cls(JWKEC(key=ec.generate_private_key(ec.SECP256R1())), email=email)


class AccountFile:
    """Where the account at one authority is kept. Every method raises OSError.

    Args:
        store: of it.
        directory: URL of the authority's.
    """

    def __init__(self, store: Store, directory: str) -> None:
        self._store = store
        self._directory = directory
        digest = hashlib.sha256(directory.encode()).hexdigest()
        self._path: Path = store.accounts / f"{digest}.json"

    def read(self) -> Account | None:
        """Return the account; None for none. One that is damaged is set aside."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            key, known = JWKEC.from_json(data["key"]), data["account"]
            if not isinstance(key, JWKEC):
                raise TypeError("its key is of another kind")
            return Account(
                key,
                None if known is None else _known(known),
                data["email"],
            )
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError, DeserializationError) as error:
            self.set_aside(str(error))
            return None

    def write(self, account: Account) -> None:
        """Keep an account."""
        known = None if account.known is None else account.known.to_json()
        data = {
            "directory": self._directory,
            "email": account.email,
            "key": account.key.to_json(),
            "account": known,
        }
        write_whole(self._path, json.dumps(data, default=lambda each: each.to_json()))

    def set_aside(self, reason: str) -> None:
        """Make room for another account."""
        self._store.put_aside(self._path, reason)


def _known(data: Any) -> messages.RegistrationResource:
    """Return what an authority knows of an account, without the binding that it was made with.

    That is needed once, and `acme` cannot send it again: what it reads of it, it cannot write.
    """
    known = messages.RegistrationResource.from_json(data)
    body = known.body.update(external_account_binding=None)
    return messages.RegistrationResource(
        body=body, uri=known.uri, terms_of_service=known.terms_of_service
    )
