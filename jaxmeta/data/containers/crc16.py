"""CRC-16 of polynomial 0x8005, as FLAC (from the top bit down) and encoders of MP3 (mirrored) use it."""

import functools

import numpy as np

MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Every byte with its bits in the other order."""
_LANE = 512
"""Bytes of a stretch; all stretches are taken side by side."""


def crc16_mirrored(data: bytes) -> int:
    """From the low bit up, starting at 0 (CRC-16/ARC)."""
    count = -(-len(data) // _LANE)
    # Zeros in front change nothing.
    lanes = np.frombuffer(data.rjust(count * _LANE, b"\0"), np.uint8).reshape(count, _LANE)
    values = np.zeros(count, np.uint16)
    for column in lanes.T:
        values = _step(values, column)
    low, high = _over_a_lane()
    total = 0
    for value in values.tolist():
        total = low[total & 255] ^ high[total >> 8] ^ value
    return total


def crc16(data: bytes) -> int:
    """From the top bit down, starting at 0."""
    return int(f"{crc16_mirrored(data.translate(MIRRORED)):016b}"[::-1], 2)


def _step(values: np.ndarray, byte: np.ndarray | int) -> np.ndarray:
    return values >> 8 ^ _table()[(values ^ byte) & 255]


@functools.cache
def _table() -> np.ndarray:
    """The remainder of each byte."""
    values = np.arange(256, dtype=np.uint16)
    for _ in range(8):
        values = values >> 1 ^ np.where(values & 1, np.uint16(0xA001), np.uint16(0))
    return values


@functools.cache
def _over_a_lane() -> tuple[list[int], list[int]]:
    """What the low and the high byte of a value become over a stretch of zeros."""
    values = np.concatenate([np.arange(256, dtype=np.uint16), np.arange(256, dtype=np.uint16) << 8])
    for _ in range(_LANE):
        values = _step(values, 0)
    return values[:256].tolist(), values[256:].tolist()
