"""An index: the vectors of a corpus in one file, made once, found again by what they were made of, read a piece at a time.

The file is Arrow's (IPC): a batch of rows for each piece of the corpus, with `id`, `text` and `vector`. Its name is a hash of
the corpus, the columns read and the model, so that a changed file or another model gets an index of its own.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from luthier.core.environment import cache_folder
from luthier.core.progress import Observer, counted
from luthier.core.storage import atomic_path
from luthier.neighbours.encoder import TextEncoder
from luthier.neighbours.texts import Piece, read_pieces, table_file

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 1 << 20
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Index:
    """Vectors of a corpus on disk.

    Attributes:
        path: The file.
        reused: Whether it was there already.
    """

    path: Path
    reused: bool

    def pieces(self) -> Iterator[tuple[list[str], list[str], Float[np.ndarray, "n D"]]]:
        """Ids, texts and vectors, a piece at a time; vectors are read where they lie, and not copied."""
        import pyarrow as pa

        with pa.memory_map(str(self.path)) as file, pa.ipc.open_file(file) as reader:
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                vectors = batch.column("vector")
                flat = vectors.flatten().to_numpy(zero_copy_only=True)
                yield batch.column("id").to_pylist(), batch.column("text").to_pylist(), flat.reshape(batch.num_rows, -1)


def open_index(
    encoder: TextEncoder,
    corpus: str | Path,
    *,
    text: str | None = None,
    identifier: str | None = None,
    observer: Observer,
) -> Index:
    """The index of a corpus by a model: from the cache, or made now.

    Args:
        corpus: A table, or a folder with `corpus.jsonl`.
        text, identifier: Its columns; see `read_pieces`.
        observer: Is told of the work.

    Raises:
        DataError: the corpus cannot be read, or has no such column.
        ResourceError: the disk has no room for the index.
    """
    path = cache_folder() / "indexes" / f"{_key(encoder, table_file(corpus), text, identifier)}.arrow"
    if path.is_file():
        return Index(path=path, reused=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    pieces = read_pieces(corpus, text=text, identifier=identifier)
    with counted(observer, "index", 0, "texts") as watched, atomic_path(path) as temporary:
        _write(temporary, pieces, encoder, watched)
    return Index(path=path, reused=False)


def _write(path: Path, pieces: Iterator[Piece], encoder: TextEncoder, observer: Observer) -> None:
    import pyarrow as pa

    writer = None
    try:
        for piece in pieces:
            table = _as_batch(piece, encoder.encode(piece.texts))
            writer = writer or pa.ipc.new_file(str(path), table.schema)
            writer.write_batch(table)
            observer.advance(len(piece.ids))
    finally:
        if writer is not None:
            writer.close()


def _as_batch(piece: Piece, vectors: Float[np.ndarray, "n D"]) -> "pa.RecordBatch":
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
    columns = {
        "id": pa.array(piece.ids, pa.string()),
        "text": pa.array(piece.texts, pa.string()),
        "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
    }
    return pa.RecordBatch.from_pydict(columns)


def _key(encoder: TextEncoder, corpus: Path, text: str | None, identifier: str | None) -> str:
    digest = hashlib.sha256(json.dumps([SCHEMA_VERSION, encoder.digest, text, identifier, corpus.suffix]).encode())
    if corpus.is_file():  # else reading it says what is wrong
        with corpus.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()[:32]
