import asyncio
import socket
import struct
from collections.abc import Callable

import pytest
import uvloop

from bench.client.readiness import readiness

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


async def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    client.setblocking(False)
    return client, server


async def told(what: Callable[[socket.socket], None]) -> bool:
    """Whether the client's side is called back within a second of `what` the server's side does."""
    client, server = await connected()
    readers = readiness(asyncio.get_running_loop())
    called = asyncio.Event()
    readers.add(client.fileno(), called.set)
    await asyncio.sleep(0.01)
    what(server)
    try:
        await asyncio.wait_for(called.wait(), 1)
    except TimeoutError:
        return False
    finally:
        readers.remove(client.fileno())
        readers.close()
        client.close()
        server.close()
    return True


def reset(server: socket.socket) -> None:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "what", [lambda server: server.send(b"x"), lambda server: server.close(), reset], ids=["data", "end", "reset"]
)
def test_data_an_end_and_a_reset_are_all_heard_of(loop: str, what: Callable[[socket.socket], None]) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(told(what))
