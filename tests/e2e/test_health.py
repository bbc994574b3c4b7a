"""What /healthz and /readyz say while a real store cannot write."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest
from anyio import create_task_group, fail_after, to_thread
from anyio.lowlevel import checkpoint

from roomkit_core import RoomKit, SQLiteStore, StoreError
from roomkit_server.app import create_app
from roomkit_server.serve import serve
from tests.support.sqlite import set_pragma

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # uvicorn needs it


def get(url: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(url.removeprefix("http://").strip("/"), timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


async def fill(kit: RoomKit) -> None:
    """Write until the disk is full."""
    for number in range(500):
        await kit.create_room(metadata={"filler": "x" * 4000, "number": number})


async def test_readyz_tells_that_the_store_takes_no_writes_and_that_it_takes_them_again(tmp_path: Path) -> None:
    """A full disk: /readyz says so and /healthz does not, because a restart would not help; then it mends itself."""
    store = SQLiteStore(tmp_path / "room.db")
    kit = RoomKit(store)
    async with create_task_group() as tasks:
        url = await tasks.start(serve, create_app(kit), "127.0.0.1", 0)
        assert (await to_thread.run_sync(get, url, "/readyz"))[0] == 200
        await set_pragma(store, "max_page_count = 1")  # SQLite takes the present size instead: full
        with pytest.raises(StoreError):
            await fill(kit)
        status, body = await to_thread.run_sync(get, url, "/readyz")
        assert status == 503
        assert [problem["code"] for problem in json.loads(body)["problems"]] == ["store.disk_full"]
        assert (await to_thread.run_sync(get, url, "/healthz"))[0] == 200
        await set_pragma(store, "max_page_count = 1000000")
        with fail_after(20):
            while (await to_thread.run_sync(get, url, "/readyz"))[0] != 200:
                await checkpoint()
        tasks.cancel_scope.cancel()
