"""Reports of archives for tests of the daemon's side, as an archive writes them."""

import json
from typing import Any

REPORT: dict[str, Any] = {
    "version": 1,
    "rule": "archive",
    "pid": 7,
    "at": 1000.5,
    "ready": True,
    "spool": "/srv/.spool/archive",
    "paused": False,
    "error": None,
    "space": {"free": 10, "total": 100, "limit": 5},
    "kept": {"recordings": 2, "bytes": 5, "counted": True},
    "recordings": [
        {
            "stream": "live/ä",
            "uuid": "u1",
            "state": "recording",
            "since": 990.0,
            "path": "/srv/ä",
            "seconds": 10.5,
            "bytes": 4000,
            "last_error": None,
            "run": {"pid": 8, "since": 990.0, "known": True, "video": None, "audio": None},
            "upload": None,
        }
    ],
    "finished": [
        {
            "stream": "live/a",
            "uuid": "u0",
            "state": "finished",
            "started_at": 1.0,
            "ended_at": 2.0,
            "reason": "gone",
            "path": "/srv/a",
            "artifact": "index.mp4",
            "url": "http://h/x",
            "seconds": 1.0,
            "bytes": 10,
            "last_error": None,
            "notes": [],
        }
    ],
}


def written(**changes: Any) -> str:
    """Return the text of a status file, with changes by field."""
    return json.dumps(REPORT | changes)
