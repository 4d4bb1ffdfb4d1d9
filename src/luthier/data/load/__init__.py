"""From files to a table: `load_source` reads whole sources, `stream_table` one file bit by bit, `list_media`
names pictures and recordings.

A kind of table file is one reader in `tables.READERS`; a kind of source is one member of `SOURCE_KINDS`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from luthier.core.family import Family
from luthier.data.load.documents import load_documents
from luthier.data.load.files import unreadable
from luthier.data.load.layout import Layout, resolve_layout
from luthier.data.load.media import list_media
from luthier.data.load.mixed import as_mixture
from luthier.data.load.source import ROW_FAULT, Source
from luthier.data.load.stream import stream_table
from luthier.data.settings import DataSettings

__all__ = ["ROW_FAULT", "SOURCE_KINDS", "Source", "list_media", "load_source", "stream_table"]

SOURCE_KINDS: Family[Callable[[Layout, DataSettings], Source]] = Family(
    "kind of source",
    {
        "table": "luthier.data.load.tables:load_tables",
        "image-folder": "luthier.data.load.folders:load_folders",
        "audio-folder": "luthier.data.load.folders:load_folders",
        "retrieval-folder": "luthier.data.load.retrieval:load_retrieval",
        "voc": "luthier.data.load.voc:load_voc",
    },
)


def load_source(sources: Sequence[str | Path], settings: DataSettings, *, documents: bool = False) -> Source:
    """Read a table or a folder of pictures or recordings, with the parts it comes in.

    Args:
        sources: One file or folder; several files named like parts; several to be mixed, each with its weight (`a.csv:2`); or
            none, if `settings` names the parts.
        settings: Parts, delimiter, and what becomes of bad rows.
        documents: Whether plain texts will do: then text files are read too, and folders of them.

    Raises:
        DataError: files that are missing, empty, damaged or no tables; all of them are named.
        SpecError: sources and parts that contradict each other.
    """
    try:
        if documents and (texts := load_documents(sources, settings)) is not None:
            return texts
        layout = resolve_layout(sources, settings)
        source = SOURCE_KINDS[layout.kind](layout, settings)
        return as_mixture(source, layout) if layout.mixed else source
    except OSError as error:
        raise unreadable(str(error.filename or "The source"), error) from error
