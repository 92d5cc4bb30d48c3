"""Where something is in the data: the names and positions in lists that lead to it."""

DataPath = tuple[str | int, ...]


def render(path: DataPath) -> str:
    """Write a path as `targets.youtube.streams[1]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
