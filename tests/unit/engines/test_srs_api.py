"""The client of SRS's API against one that answers as SRS does, for what SRS seldom does."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from streamd.engines.srs_api import SrsApi
from streamd.errors import EngineError
from tests.support.ports import free_port


class PretendedSrs:
    """Speaks the API: pages of at least 10, errors as HTTP 200 with a code, a reload's states."""

    def __init__(self) -> None:
        self.listed: list[dict[str, Any]] = []
        self.reload_ends_in: dict[str, Any] = {"state": 90, "msg": ""}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.delete_code = 0
        self.body: Any = None
        self._rid, self._fetched = "before", 0

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path, dict(request.query)))
        if request.headers.get("Authorization") != "Basic c3RyZWFtZDpzZWNyZXQ=":
            return web.Response(status=401)
        if self.body is not None:
            return web.Response(text=self.body)
        if request.method == "DELETE":
            return web.json_response({"code": self.delete_code})
        kind = request.path.rstrip("/").rpartition("/")[2]
        if kind == "raw":
            return web.json_response(self._raw(request.query["rpc"]))
        start, count = int(request.query["start"]), max(10, int(request.query["count"]))
        return web.json_response({"code": 0, kind: self.listed[start : start + count]})

    def _raw(self, rpc: str) -> dict[str, Any]:
        if rpc == "reload":
            self._fetched = 1
            return {"code": 0}
        if self._fetched:
            self._fetched += 1
        if self._fetched > 3:  # SRS looks for a reload once a second
            return {"code": 0, "data": {"rid": "after", **self.reload_ends_in}}
        return {"code": 0, "data": {"rid": "before", "state": 0, "msg": ""}}


@pytest.fixture
async def pretended() -> PretendedSrs:
    return PretendedSrs()


@pytest.fixture
async def api(pretended: PretendedSrs) -> AsyncIterator[SrsApi]:
    port = free_port()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", pretended.handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    client = SrsApi("127.0.0.1", port, "secret")
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000, 1234])
async def test_every_page_is_read(pretended: PretendedSrs, api: SrsApi, count: int) -> None:
    pretended.listed = [{"id": f"vid-{number}"} for number in range(count)]
    assert await api.streams() == pretended.listed


async def test_what_is_on_two_pages_counts_once(pretended: PretendedSrs, api: SrsApi) -> None:
    pretended.listed = [{"id": f"vid-{number % 600}"} for number in range(700)]
    assert len(await api.clients()) == 600


async def test_a_reload_is_waited_for(pretended: PretendedSrs, api: SrsApi) -> None:
    await api.reload()
    assert [query["rpc"] for _, _, query in pretended.asked].count("reload-fetch") == 4


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (10, "keeps its old configuration, it could not read the file: what is wrong"),
        (20, "keeps its old configuration, it refused the file: what is wrong"),
        (30, "failed in the middle of a reload and exits: what is wrong"),
    ],
)
async def test_a_reload_that_failed_says_what_became_of_srs(
    pretended: PretendedSrs, api: SrsApi, state: int, complaint: str
) -> None:
    pretended.reload_ends_in = {"state": state, "msg": "what is wrong"}
    with pytest.raises(EngineError, match=complaint):
        await api.reload()


async def test_disconnecting_who_is_gone_is_no_error(pretended: PretendedSrs, api: SrsApi) -> None:
    pretended.delete_code = 2049
    await api.disconnect("8r8140r7")
    assert pretended.asked[-1][:2] == ("DELETE", "/api/v1/clients/8r8140r7")


async def test_a_disconnection_that_failed_is_told(pretended: PretendedSrs, api: SrsApi) -> None:
    pretended.delete_code = 400
    with pytest.raises(EngineError, match="did not disconnect"):
        await api.disconnect("8r8140r7")


@pytest.mark.parametrize("body", ["", "not JSON", "[]", '{"code": 1}', '{"streams": 3}'])
async def test_an_answer_that_is_not_of_srs_is_refused(
    pretended: PretendedSrs, api: SrsApi, body: str
) -> None:
    pretended.body = body
    with pytest.raises(EngineError):
        await api.streams()


async def test_silence_is_told_with_the_address() -> None:
    port = free_port()
    client = SrsApi("127.0.0.1", port, "secret")
    with pytest.raises(EngineError, match=f"does not answer at http://127.0.0.1:{port}/"):
        await client.streams()
    await client.close()
