"""Annotations of ELAN (.eaf), beside the recordings or where the file says that they lie.

Source: EAF format 3.0. Tiers that depend on another one, such as translations, become columns named for their type.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from jaxmeta.data.importers.recordings import SUFFIXES, beside, files_of
from jaxmeta.data.importers.rows import LANGUAGE, SPEAKER, TEXT, Rejection, Row, between
from jaxmeta.data.importers.texts import text

_RESERVED = {"file_name", "start", "duration", TEXT, SPEAKER, LANGUAGE, "tier"}


def read(path: Path) -> Iterator[Row | Rejection]:
    """The annotations of the tiers that depend on no other one, of a file or of all files of a folder."""
    for file in files_of(path, (".eaf",)):
        try:
            tree = parse(text(file))
            yield from _rows(file, tree)
        except (ValueError, KeyError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            yield Rejection(file, 1, reason.removeprefix(f"{file}").lstrip(":, "))


def parse(content: str) -> Element:
    """XML as a tree. A document type is refused: it could define entities that grow without bound, or name files.

    Raises:
      ValueError: it is not well formed, or has a document type.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate("utf-8")  # Whatever it declares: it is decoded already.

    def refuse(*_: Any) -> None:
        raise ValueError("has a document type, which is refused; remove the line with <!DOCTYPE")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.buffer_text = True
    try:
        parser.Parse(content.encode("utf-8"), True)
    except expat.ExpatError as error:
        raise ValueError(f"not whole XML ({error})") from error
    return builder.close()


def _rows(file: Path, tree: Element) -> Iterator[Row | Rejection]:
    slots = {slot.attrib["TIME_SLOT_ID"]: slot.get("TIME_VALUE") for slot in tree.iter("TIME_SLOT")}
    dependent = _dependents(tree)
    audio = _recording(file, tree)
    place = 0
    for tier in tree.iter("TIER"):
        if tier.get("PARENT_REF"):
            continue
        said = {SPEAKER: tier.get("PARTICIPANT", ""), LANGUAGE: tier.get("LANG_REF", "")}
        about = {name: value for name, value in said.items() if value} | {"tier": tier.attrib["TIER_ID"]}
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            place += 1
            value = annotation.findtext("ANNOTATION_VALUE") or ""
            ends = [slots.get(annotation.attrib[f"TIME_SLOT_REF{end}"]) for end in (1, 2)]
            try:
                if ends[0] is None or ends[1] is None:
                    raise ValueError("is not aligned to the recording at both ends")
                if not value.strip():
                    raise ValueError("the annotation is empty")
                if audio is None:
                    raise ValueError(f"there is no recording beside it, such as {file.stem}.wav")
                start, duration = between(ends[0], ends[1])
            except ValueError as error:
                yield Rejection(file, place, str(error))
                continue
            columns = {TEXT: value} | about | dependent.get(annotation.attrib["ANNOTATION_ID"], {})
            yield Row(file, place, audio, columns, start / 1000, duration / 1000)


def _dependents(tree: Element) -> dict[str, dict[str, str]]:
    """Annotation -> what the tiers that depend on its own say of it, by their types."""
    said: dict[str, dict[str, str]] = {}
    for tier in tree.iter("TIER"):
        kind = tier.get("LINGUISTIC_TYPE_REF", "") or tier.attrib["TIER_ID"]
        name = f"tier {kind}" if kind.strip() in _RESERVED else kind
        for annotation in tier.iter("REF_ANNOTATION"):
            columns = said.setdefault(annotation.attrib["ANNOTATION_REF"], {})
            value = annotation.findtext("ANNOTATION_VALUE") or ""
            columns[name] = f"{columns[name]} {value}" if name in columns else value
    return said


def _recording(file: Path, tree: Element) -> str | None:
    """The recording that is named, if it can be read; by its place relative to the file, or by its name beside it."""
    for media in tree.iter("MEDIA_DESCRIPTOR"):
        for url in (media.get("RELATIVE_MEDIA_URL", ""), media.get("MEDIA_URL", "")):
            name = PurePosixPath(url.removeprefix("file://"))
            if name.suffix.lower() not in SUFFIXES:
                continue
            for each in (str(name), name.name):
                if os.path.isfile(file.parent / each):  # Unlike Path.is_file, it bears names that are too long.
                    return each
    other = beside(file)
    return None if other is None else other.name
