"""RTMP addresses taken apart as their receivers mean them."""


def split_rtmp(url: str) -> tuple[str, str, str]:
    """Split an RTMP address into what is asked of whom: server, app and stream.

    The stream is what follows the last slash of the path, with the query: `KEY?x=y`, or
    `?streamname=S&key=K` behind `rtmp://host/app/`. A query that belongs to the app
    (`rtmp://host/app?auth=T/KEY`, as encoders build it from server and key) stays with the app.

    Returns:
        The address as far as it may be seen (no query, no stream), the app and the stream.

    Raises:
        ValueError: there is no app.
    """
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    head, mark, query = path.partition("?")
    if not mark:
        head = head.rstrip("/")
    if "/" in head:
        app, _, name = head.rpartition("/")
        stream = f"{name}{mark}{query}"
    else:
        app, slash, stream = f"{head}{mark}{query}".rpartition("/")
        if not slash:
            app, stream = stream, ""
    shown = app.partition("?")[0]
    if not shown:
        raise ValueError("names no app; write for example rtmp://HOST/APP/KEY")
    return f"{scheme}://{authority}/{shown}", app, stream


def parameters(query: str) -> list[tuple[str, str]]:
    """Split a query without decoding it: receivers get it as it was given."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(name, value) for name, _, value in pairs]
