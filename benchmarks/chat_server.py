"""A chat completions endpoint that always takes LATENCY seconds: python chat_server.py LATENCY. Prints its URL."""

import asyncio
import json
import sys

from aiohttp import web

SCORES = json.dumps({"sensibility": 8, "rationality": 2})
CHOICE = {"index": 0, "message": {"role": "assistant", "content": SCORES}, "finish_reason": "stop"}
USAGE = {"prompt_tokens": 400, "completion_tokens": 12, "total_tokens": 412}
BODY = json.dumps(
    {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [CHOICE], "usage": USAGE}
).encode()


async def serve(latency: float) -> None:
    async def handle(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(latency)
        return web.Response(body=BODY, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
