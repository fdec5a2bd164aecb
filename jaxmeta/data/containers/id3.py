"""ID3 tags, which players put in front of FLAC and MP3."""


def tags_end(data: bytes, at: int = 0) -> int:
    """The byte after the ID3v2 tags that begin at a byte; that byte itself where there are none."""
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 127
        at += 10 + size + 10 * bool(data[at + 5] & 16)
    return at
