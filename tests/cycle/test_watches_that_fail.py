import asyncio
from contextlib import asynccontextmanager, suppress
from http.client import NOT_FOUND

from aiohttp import web
from kubernetes import client

from tidecast_operator.handlers import Watches

VERBS = ["list", "watch"]
KINDS = [
    {"name": "namespaces", "singularName": "", "namespaced": False, "kind": "Namespace", "verbs": VERBS},
    {"name": "services", "singularName": "", "namespaced": True, "kind": "Service", "verbs": VERBS},
]
CHECKOUT = {"metadata": {"namespace": "shop", "name": "checkout", "uid": "1", "resourceVersion": "1"}}


class Api:
    """
    An API server that knows services only, and says once that it does not, as one does that still reads definitions.

    Attributes:
        lists: How often services were listed.
        url: Where it listens.
    """

    def __init__(self):
        self.lists = 0
        self.url = ""

    async def versions(self, _):
        return web.json_response({"versions": ["v1"]})

    async def groups(self, _):
        return web.json_response({"groups": []})

    async def resources(self, _):
        return web.json_response({"resources": KINDS})

    async def services(self, request):
        if "watch" in request.query:
            await asyncio.sleep(60)
        self.lists += 1
        if self.lists == 1:
            return web.Response(status=NOT_FOUND, text="404 page not found")
        return web.json_response({"kind": "ServiceList", "metadata": {"resourceVersion": "1"}, "items": [CHECKOUT]})


@asynccontextmanager
async def api_server():
    api = Api()
    application = web.Application()
    application.router.add_get("/api", api.versions)
    application.router.add_get("/apis", api.groups)
    application.router.add_get("/api/v1", api.resources)
    application.router.add_get("/api/v1/namespaces/shop/services", api.services)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()


async def test_watches_that_an_api_server_refused_are_opened_again_within_seconds():
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def namespaces():
        return ("shop",)

    async with api_server() as api:
        configuration = client.Configuration()
        configuration.host = api.url
        watches = Watches(
            lambda _, body: seen.put_nowait(body["metadata"]["name"]),
            configuration=lambda: configuration,
            namespaces=namespaces,
        )
        task = asyncio.create_task(watches.run())
        try:
            assert await asyncio.wait_for(seen.get(), 30) == "checkout"
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    assert api.lists == 2
