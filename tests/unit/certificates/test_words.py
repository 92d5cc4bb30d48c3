"""What an operator is told when there is no certificate."""

import pytest

from streamd.certificates.words import Refusal, Surroundings, explain

NAME = "live.example.com"
HERE, ELSEWHERE = "203.0.113.5", "198.51.100.7"


@pytest.mark.parametrize(
    ("kind", "surroundings", "told"),
    [
        ("dns", Surroundings(own=[HERE]), f"the name {NAME} does not resolve"),
        ("connection", Surroundings(own=[HERE]), f"the name {NAME} does not resolve"),
        (
            "connection",
            Surroundings(resolved=[ELSEWHERE], own=[HERE]),
            f"{NAME} leads to {ELSEWHERE}, and this machine has {HERE}",
        ),
        (
            "connection",
            Surroundings(resolved=[HERE], own=[HERE]),
            "port 80 is closed to the authority",
        ),
        ("connection", Surroundings(resolved=[ELSEWHERE]), "no address that others reach"),
        (
            "unauthorized",
            Surroundings(resolved=[ELSEWHERE], own=[HERE]),
            f"somebody else answered for {NAME}",
        ),
        ("unauthorized", Surroundings("webroot", [HERE], [HERE]), "serves the files of `webroot`"),
        ("unauthorized", Surroundings("dns"), "raise `rfc2136.wait`"),
        ("caa", Surroundings(), "a CAA record forbids this authority"),
        ("rejectedIdentifier", Surroundings(), f"no certificate for {NAME}"),
        ("rateLimited", Surroundings(), "nothing to do but wait"),
        ("invalidProfile", Surroundings(profiles=["classic", "shortlived"]), "classic, shortlived"),
        ("invalidProfile", Surroundings(), "it has none"),
        ("externalAccountRequired", Surroundings(), "add `acme.eab`"),
        ("eab", Surroundings(), "correct its `kid` and `hmac_key`"),
        ("untrusted", Surroundings(), "`acme.ca_file`"),
        ("unreachable", Surroundings(), "cannot be reached"),
        ("somethingNew", Surroundings(), "the authority refused (somethingNew)"),
    ],
)
def test_each_refusal_says_what_is_wrong_and_what_it_said_itself(
    kind: str, surroundings: Surroundings, told: str
) -> None:
    said = explain(Refusal(kind, "what it said\nitself", NAME), surroundings)
    assert told in said
    assert "what it said itself" in said or kind in ("dns", "caa")


def test_what_an_authority_says_at_length_is_cut() -> None:
    assert len(explain(Refusal("caa", "x" * 5000, NAME), Surroundings())) < 600
