"""Sources that are folders of pictures or recordings by class, as tables of paths and labels."""

from luthier.core.names import count_of
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.findings import Finding
from luthier.data.load.layout import Layout
from luthier.data.load.media import LABEL, Media, list_classified, media_of
from luthier.data.load.source import Source
from luthier.data.load.tables import name_below, rows_of_parts
from luthier.data.settings import DataSettings
from luthier.errors import DataError

_SHOWN = 5


def load_folders(layout: Layout, settings: DataSettings) -> Source:
    """List the files of a layout. `image` or `audio` holds absolute paths, `example_id` paths below the source's folder.

    Raises:
        DataError: there is no such file in a class folder.
    """
    import pyarrow as pa

    media = media_of(layout.kind)
    ids, files, labels, sizes, others = [], [], [], [], []
    for part, folder in [(part, folder) for part, folders in layout.parts.items() for folder in folders]:
        found, rest = list_classified(folder, media)
        if not found:
            raise DataError(
                f"{folder} has no {media.noun}s in class folders.",
                remedy=f"one sub-folder per class: {folder}/CLASS/{media.example}",
            )
        ids += [name_below(path, layout.root) for path, _ in found]
        files += [str(path.absolute()) for path, _ in found]
        labels += [label for _, label in found]
        sizes.append((part, len(found)))
        others += [path for path in rest if not any(path.is_relative_to(entry) for entry in layout.ignored)]
    text = pa.string()
    return Source(
        name=layout.name,
        kind=layout.kind,
        table=pa.table({EXAMPLE_ID: pa.array(ids, text), media.role: pa.array(files, text), LABEL: pa.array(labels, text)}),
        parts=rows_of_parts(sizes),
        findings=tuple([_unused(media, [name_below(path, layout.root) for path in others])] if others else []),
        decisions=layout.decisions,
        files=tuple(str(folder) for folders in layout.parts.values() for folder in folders),
        root=layout.root,
    )


def _unused(media: Media, names: list[str]) -> Finding:
    printable = [name.encode("utf-8", "replace").decode() for name in names]
    return Finding(
        check="unused_files",
        severity="info",
        problem=f"{count_of(len(names), 'file')} in the folders of {media.noun}s "
        f"{'is' if len(names) == 1 else 'are'} not used: "
        f"{', '.join(printable[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}.",
        remedy=f"{media.noun}s are {media.formats} in a class folder",
        count=len(names),
        evidence={"files": printable[:1000]},
    )
