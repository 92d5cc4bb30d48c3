from streamd.config.models import Config
from streamd.doctor.configuration import judge_fallback, judge_file
from streamd.doctor.finding import Finding
from streamd.errors import Problem


def test_a_good_file_is_counted() -> None:
    config = Config.model_validate({"version": 1, "streams": {"a": {"keys": "any"}}})
    assert [*judge_file("/c.yaml", config, ())] == [
        Finding("ok", "/c.yaml", "1 server, 0 keys, 1 stream, 0 targets")
    ]


def test_a_mistake_is_told_as_check_tells_it() -> None:
    problems = (
        Problem("/c.yaml", 3, 7, "streams.a.keys", "key x is not known; add it"),
        Problem("/c.yaml", 0, 0, "", "does not exist; create it"),
        Problem("/c.yaml", 4, 1, "keys.b", "is used twice; remove one", warning=True),
    )
    assert [*judge_file("/c.yaml", None, problems)] == [
        Finding("error", "/c.yaml:3:7", "streams.a.keys: key x is not known", "add it"),
        Finding("error", "/c.yaml", "does not exist", "create it"),
        Finding("warning", "/c.yaml:4:1", "keys.b: is used twice", "remove one"),
    ]


def test_a_file_that_this_user_may_not_read_is_no_mistake() -> None:
    problem = Problem("/c.yaml", 0, 0, "", "cannot be read; give streamd's user permission")
    (found,) = judge_file("/c.yaml", None, [problem], hidden=True)
    assert (found.level, found.what) == ("unknown", "cannot be read by this user")


def test_it_is_said_what_the_rest_goes_by() -> None:
    assert "last good" in judge_fallback("/s/last-good.json", used=True).what
    assert "left out" in judge_fallback("/s/last-good.json", used=False).what
