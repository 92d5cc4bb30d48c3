"""Accounts at authorities on disk."""

from pathlib import Path

from acme import messages

from streamd.certificates.accounts import Account, AccountFile
from streamd.certificates.store import Store

DIRECTORY = "https://ca/dir"


def test_an_account_that_was_bound_can_be_asked_about_when_it_is_read_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "certificates")
    store.prepare()
    made = Account.new("ops@example.com")
    binding = {"protected": "e30", "payload": "e30", "signature": "AA"}
    body = messages.Registration.from_json(
        {
            "status": "valid",
            "key": made.key.public_key().to_json(),
            "externalAccountBinding": binding,
        }
    )
    known = messages.RegistrationResource(body=body, uri="https://ca/account/1")
    AccountFile(store, DIRECTORY).write(Account(made.key, known, made.email))
    found = AccountFile(store, DIRECTORY).read()
    assert found is not None
    assert found.known is not None
    assert (found.key, found.known.uri) == (made.key, "https://ca/account/1")
    question = found.known.body.update(only_return_existing=True)
    assert "externalAccountBinding" not in question.json_dumps()
