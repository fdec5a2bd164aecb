"""CRC-16 of polynomial 0x8005, as FLAC (from the top bit down) and encoders of MP3 (mirrored) use it."""

MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Every byte with its bits in the other order."""


def _remainder(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


_TABLE = [_remainder(byte) for byte in range(256)]


def crc16_mirrored(data: bytes) -> int:
    """From the low bit up, starting at 0 (CRC-16/ARC)."""
    value = 0
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 255]
    return value


def crc16(data: bytes) -> int:
    """From the top bit down, starting at 0."""
    return int(f"{crc16_mirrored(data.translate(MIRRORED)):016b}"[::-1], 2)
