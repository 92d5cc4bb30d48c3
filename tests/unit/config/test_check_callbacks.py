"""What is said of `callbacks`, with the line."""

from pathlib import Path

import pytest

from streamd.desire import desire
from tests.unit.config.loading import SRS, load_text, problems_of

HEAD = "version: 1\ncallbacks:\n"


def said(directory: Path, *lines: str) -> list[str]:
    return problems_of(directory, HEAD + "".join(f"  {line}\n" for line in lines))


def test_every_field_comes_through(tmp_path: Path) -> None:
    loaded = load_text(
        tmp_path,
        HEAD + "  billing: {url: 'https://u:p@app:8443/hook?t=1', events: [on_publish, on_stop], "
        "opaque: mytoken, timeout: 1500ms, on_error: allow, sign: 0123456789abcdef}\n",
    )
    assert loaded.warnings == ()
    spec = desire(loaded.config, SRS).callbacks["billing"]
    assert spec.url == "https://u:p@app:8443/hook?t=1"
    assert spec.events == {"on_publish", "on_stop"}
    assert (spec.opaque, spec.timeout_s, spec.on_error) == ("mytoken", 1.5, "allow")
    assert spec.sign == "0123456789abcdef"
    assert "mytoken" not in repr(spec)
    assert "app:8443" not in repr(spec)
    assert loaded.secrets >= {"mytoken", "0123456789abcdef", spec.url}


def test_the_least_is_an_address_and_an_event(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, HEAD + "  a: {url: 'http://10.0.0.1', events: [on_publish]}\n")
    spec = desire(loaded.config, SRS).callbacks["a"]
    assert (spec.opaque, spec.timeout_s, spec.on_error, spec.sign) == ("", 5.0, "refuse", None)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("events: [on_stop]", "callbacks.a: `url` is missing"),
        ("url: 'http://h'", "callbacks.a: `events` is missing"),
        ("url: 'http://h', events: []", "callbacks.a.events: is empty"),
        ("url: 'ftp://h', events: [on_stop]", "callbacks.a.url: is not an address to post to"),
        ("url: 'app/hook', events: [on_stop]", "callbacks.a.url: is not an address to post to"),
        ("url: 'http:///x', events: [on_stop]", "callbacks.a.url: names no host"),
        ("url: 'http://h:0/', events: [on_stop]", "callbacks.a.url: names no host"),
        ("url: 'http://h:x/', events: [on_stop]", "callbacks.a.url: is not an address;"),
        ("url: 'http://[::1/', events: [on_stop]", "callbacks.a.url: is not an address;"),
        ("url: 'http://h/#x', events: [on_stop]", "callbacks.a.url: has a `#`"),
        ("url: 'http://h/ x', events: [on_stop]", "callbacks.a.url: holds a space"),
        ("url: 'http://u:p/w@h/', events: [on_stop]", "callbacks.a.url: has an @ behind its host"),
        ("url: 'http://h', events: [on_publsh]", "did you mean on_publish?"),
        ("url: 'http://h', events: [on_stop], timeout: 30s", "write 100ms to 20s"),
        ("url: 'http://h', events: [on_stop], timeout: 10ms", "write 100ms to 20s"),
        ("url: 'http://h', events: [on_stop], sign: short", "write 16 characters or more"),
        (
            "url: 'http://h', events: [on_stop], on_error: allow",
            "has no meaning without the event on_publish",
        ),
        ("url: 'http://h', events: [on_stop, on_stop]", "warning: names the same event again"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, fields: str, problem: str) -> None:
    (found,) = said(tmp_path, f"a: {{{fields}}}")
    assert problem in found
    assert found.startswith("config.yaml:3:")


def test_nothing_of_an_address_is_repeated(tmp_path: Path) -> None:
    (found,) = said(tmp_path, "a: {url: 'htp://user:pass@host/token', events: [on_stop]}")
    assert "token" not in found
    assert "pass" not in found


def test_being_told_twice_is_a_warning(tmp_path: Path) -> None:
    found = said(
        tmp_path,
        "a: {url: 'http://h/x', events: [on_play, on_stop]}",
        "b: {url: 'http://h/x', events: [on_stop]}",
        "c: {url: 'http://h/y', events: [on_stop]}",
    )
    assert found == [
        "config.yaml:4:12: callbacks.b.url: warning: is that of callbacks.a, so that it is told "
        "on_stop twice; remove on_stop from one"
    ]
