"""A wake word for Home Assistant: a server of the Wyoming protocol. Needs the extra "wyoming"."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from jaxmeta.versions import versions
from jaxmeta.words.wake.stream import RATE
from jaxmeta.words.wake.wakeword import Detection


class Listener(Protocol):
    """Takes sound in pieces, as `wakeword.Detector`."""

    def push(self, samples: np.ndarray) -> list[Detection]: ...


def make_server(word: str, listener: Callable[[], Listener], host: str, port: int) -> tuple[Any, Callable]:
    """A server that is not started yet, and what handles each client.

    Args:
      word: its name.
      listener: begins a stream; each client, and each `audio-start` of it, has one of its own.
      host: address to listen on.
      port: of it; 0 takes a free one.
    Raises:
      ImportError: the extra "wyoming" is not installed.
    """
    try:
        from wyoming.audio import AudioChunk, AudioChunkConverter, AudioStart, AudioStop
        from wyoming.info import Attribution, Describe, Info, WakeModel, WakeProgram
        from wyoming.server import AsyncEventHandler, AsyncTcpServer
        from wyoming.wake import Detection as Detected
        from wyoming.wake import NotDetected
    except ImportError as error:
        raise ImportError("the server needs wyoming; install the extra: pip install 'jaxmeta[wyoming]'") from error

    number = versions()["jaxmeta"]
    made = {"attribution": Attribution("jaxmeta", ""), "installed": True, "version": number}
    model = WakeModel(name=word, description=word, languages=[], phrase=word, **made)
    info = Info(
        wake=[WakeProgram(name="jaxmeta", description="Wake words from five recordings", models=[model], **made)]
    )

    class Handler(AsyncEventHandler):
        def __init__(self, *streams: Any) -> None:
            super().__init__(*streams)
            self._listener: Listener | None = None
            self._detected = False

        async def _begin(self) -> Listener:
            """Begin a stream, in a thread: other clients are served meanwhile."""
            self._listener, self._detected = await asyncio.to_thread(listener), False
            self._convert = AudioChunkConverter(rate=RATE, width=2, channels=1)
            return self._listener

        async def handle_event(self, event: Any) -> bool:
            if Describe.is_type(event.type):
                await self.write_event(info.event())
            elif AudioStart.is_type(event.type):
                await self._begin()
            elif AudioChunk.is_type(event.type):
                await self._chunk(AudioChunk.from_event(event))
            elif AudioStop.is_type(event.type) and not self._detected:
                await self.write_event(NotDetected().event())
            return True

        async def _chunk(self, chunk: Any) -> None:
            current = self._listener or await self._begin()
            samples = np.frombuffer(self._convert.convert(chunk).audio, np.int16) / np.float32(32_768)
            for each in await asyncio.to_thread(current.push, samples):
                self._detected = True
                await self.write_event(Detected(name=word, timestamp=round(1000 * each.seconds)).event())

    return AsyncTcpServer(host, port), Handler
