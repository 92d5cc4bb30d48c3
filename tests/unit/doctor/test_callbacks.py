"""What is said of a callback that was tried."""

from streamd.doctor.callbacks import judge


def test_who_answers_is_fine_whatever_it_says() -> None:
    yes = judge("billing", "https://app", "yes", "HTTP 200, code 0")
    no = judge("billing", "https://app", "no", "HTTP 403 (Forbidden)")
    assert (yes.level, no.level) == ("ok", "ok")
    assert yes.where == "callbacks.billing"
    assert yes.what == "https://app answers on_test with a yes (HTTP 200, code 0)"
    assert no.what == "https://app answers on_test, with a no (HTTP 403 (Forbidden))"


def test_an_answer_that_is_none_tells_the_rule() -> None:
    found = judge("billing", "https://app", "fault", "HTTP 404")
    assert found.level == "warning"
    assert "HTTP 404" in found.what
    assert '{"code": 0}' in found.do


def test_who_is_not_reached_is_an_error() -> None:
    found = judge("billing", "https://app", "none", "connection refused")
    assert found.level == "error"
    assert found.what == "https://app cannot be reached: connection refused"
    assert "url" in found.do
