from streamd.doctor.finding import Report, error, listed, ok, split_advice, unknown, warning
from streamd.doctor.report import exit_status, report_json, report_text

FINE: Report = {"clock": [ok("clock", "is kept right")], "targets": []}
MIXED: Report = {
    "ports": [error("daemon.status", "port 1 is taken", "stop that"), ok("daemon.hooks", "free")],
    "clock": [warning("clock", "nothing keeps it right", "run chrony")],
    "targets": [
        unknown("targets.a", "SRT"),
        error("targets.b", "refused", "correct it"),
        error("targets.c", "refused", "correct it"),
    ],
}


def test_a_machine_on_which_all_is_fine_says_so() -> None:
    assert report_text(FINE) == "clock\n  ok       clock: is kept right\n\nall fine"
    assert exit_status(FINE) == 0


def test_every_finding_has_a_line_and_advice_comes_once_with_the_worst_last() -> None:
    assert report_text(MIXED).splitlines() == [
        "ports",
        "  error    daemon.status: port 1 is taken",
        "  ok       daemon.hooks: free",
        "clock",
        "  warning  clock: nothing keeps it right",
        "targets",
        "  unknown  targets.a: SRT",
        "  error    targets.b: refused",
        "  error    targets.c: refused",
        "",
        "to do",
        "  warning  clock: run chrony",
        "  error    daemon.status: stop that",
        "  error    targets.b, targets.c: correct it",
        "",
        "3 wrong, 1 to be looked after, 1 not known",
    ]


def test_errors_alone_make_the_status_1() -> None:
    assert exit_status(MIXED) == 1
    assert exit_status({"a": [warning("a", "b", "c"), unknown("d", "e")]}) == 0


def test_scripts_get_every_finding_with_its_check() -> None:
    told = report_json(MIXED)
    assert told["ok"] is False
    assert report_json(FINE) == {
        "ok": True,
        "findings": [
            {
                "check": "clock",
                "level": "ok",
                "where": "clock",
                "what": "is kept right",
                "do": "",
            }
        ],
    }


def test_of_many_things_the_first_are_named() -> None:
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed([str(number) for number in range(10)]) == "0, 1, 2 and 7 more"


def test_advice_follows_the_first_semicolon() -> None:
    assert split_advice("it is gone; install it; or not") == ("it is gone", "install it; or not")
    assert split_advice("it is gone") == ("it is gone", "")
