"""Where archives say how they are, and where servers find what they serve. Pure."""

SERVED_UNDER = "recordings"
"""The first part of the path at which a server serves finished recordings."""


def archive_status_path(archives_directory: str, process: str) -> str:
    """Return the file in which an archive says how it is, by the name of its process."""
    return f"{archives_directory}/{process.partition('.')[2]}.json"


def served_root(servers_directory: str, server: str) -> str:
    """Return the directory in which a server has the recordings that it serves, by rule.

    It lies beside the directory that is served, in which links lead here
    (`streamd.recordings.serving`).
    """
    return f"{servers_directory}/{server}/served"


def served_directory(servers_directory: str, server: str, rule: str) -> str:
    """Return the directory that a rule's finished recordings are linked into for a server."""
    return f"{served_root(servers_directory, server)}/{rule}"
