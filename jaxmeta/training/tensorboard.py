"""Metrics as TensorBoard reads them, without the thread of tensorboardX, so that a full disk is an error here."""

import importlib.util
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class TensorBoard:
    """A file of metrics; close it.

    Args:
      folder: of the files of this run; created if missing.
      start: step from which training continues; TensorBoard then forgets later ones of other files.
    Raises:
      OSError: it cannot be written, then or later.
    """

    def __init__(self, folder: Path, start: int = 0) -> None:
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.record_writer import RecordWriter
        from tensorboardX.summary import scalar

        self._event, self._scalar = Event, scalar
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads files of such names alone.
        self._records = RecordWriter(f"{folder}/events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{start}")
        self._append(file_version="brain.Event:2")
        if start:
            self._append(step=start + 1, session_log=SessionLog(status=SessionLog.START))

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Append the numbers among the metrics of a step, for TensorBoard draws nothing else."""
        for name, value in values.items():
            if isinstance(value, int | float):
                self._append(step=step, summary=self._scalar(name, value))

    def close(self) -> None:
        """Hand what is left to the operating system."""
        self._records.close()

    def _append(self, **content: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), **content).SerializeToString())


def is_installed() -> bool:
    """Whether tensorboardX is there, the extra "tb"."""
    return importlib.util.find_spec("tensorboardX") is not None
