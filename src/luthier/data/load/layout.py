"""Which files of a source are which part. Looks at names only, and says why each file is what it is, or is ignored."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os.path import commonpath
from pathlib import Path
from typing import Any

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.data.dataset import PARTS
from luthier.data.load.files import check_table_file, is_table_file, missing, table_suffix, unsupported
from luthier.data.load.media import class_folders, has_media, is_hidden, media_in
from luthier.data.load.retrieval_files import CORPUS, JUDGEMENTS, QUERIES, is_retrieval, judgement_files
from luthier.data.load.source import SourceKind
from luthier.data.load.weights import refuse_unfit_weights, split_weight
from luthier.data.settings import DataSettings
from luthier.errors import DataError, LuthierError, SpecError, raise_together

PART_NAMES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev", "devel", "development", "trial"),
    "test": ("test", "testing", "eval", "evaluation", "holdout", "heldout"),
}
_PART_OF = {name: part for part, names in PART_NAMES.items() for name in names}
_SHARD = re.compile(r"-\d+-of-\d+$")
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What is to be read.

    Attributes:
        kind: How it is read.
        name: Short name of the source.
        root: The folder that ids are relative to.
        parts: Part -> files, or, for pictures and recordings, one folder of class folders. `all` if it is not split yet.
        decisions: Why.
        ignored: What was left out.
        mixed: Sources that are mixed, with their weights; none where there is one source.
    """

    kind: SourceKind
    name: str
    root: Path
    parts: Mapping[str, Sequence[Path]]
    decisions: tuple[Decision[Any], ...] = ()
    ignored: tuple[Path, ...] = field(default=())
    mixed: tuple[tuple[Path, float], ...] = field(default=())


def part_named(name: str) -> str | None:
    """The part that a file or folder is named after, exactly.

    Example:
        >>> part_named("Train.csv"), part_named("val"), part_named("train_imbalanced.csv"), part_named("held-out.jsonl")
        ('train', 'validation', None, 'test')
    """
    return _PART_OF.get(re.sub(r"[-_ ]", "", _SHARD.sub("", _stem(name))))


def part_mentioned(name: str) -> str | None:
    """The part whose name stands at the beginning or end of a file's name, as in `tickets-test.csv`.

    Example:
        >>> part_mentioned("tickets-test.csv"), part_mentioned("train_imbalanced.csv"), part_mentioned("latest.csv")
        ('test', 'train', None)
    """
    words = re.split(r"[-_. ]+", _SHARD.sub("", _stem(name)))
    found = {_PART_OF[word] for word in (words[0], words[-1]) if word in _PART_OF}
    return found.pop() if len(found) == 1 else None


def _stem(name: str) -> str:
    suffix = table_suffix(Path(name))
    return name.lower().removesuffix(".gz").removesuffix(suffix) if suffix else name.lower()


def resolve_layout(sources: Sequence[str | Path], settings: DataSettings) -> Layout:
    """Decide what is read, and as what.

    Args:
        sources: A file or a folder; several files that are named like parts; or several that are to be mixed, each with its
            weight: `a.csv:2`.
        settings: `train`, `validation` and `test`, where they are given.

    Raises:
        DataError: files that do not exist or cannot be used.
        SpecError: sources and parts that contradict each other.
    """
    given = {part: Path(path) for part in PARTS if (path := getattr(settings, part))}
    if any(weight is not None for _, weight in map(split_weight, sources)):
        return _from_weights([split_weight(source) for source in sources], given)
    paths = [Path(source) for source in sources]
    if given:
        return _from_flags(paths, given)
    if not paths:
        raise SpecError("No data was named.", remedy="luthier tune tickets.csv --target category")
    if len(paths) > 1:
        return _from_several(paths)
    path = paths[0]
    if path.is_dir():
        return _from_folder(path)
    raise_together([error] if (error := check_table_file(path)) else [])
    return Layout(kind="table", name=_short_name(path), root=path.parent, parts={"all": [path]})


def _from_weights(weighted: list[tuple[Path, float | None]], given: dict[str, Path]) -> Layout:
    """Sources that are to be mixed; `--test` and `--validation` may stand beside them."""
    refuse_unfit_weights(weighted, given)
    paths = [path for path, _ in weighted]
    raise_together([error for path in paths if (error := _check_part(path) if path.exists() else missing(path))])
    inner = [_from_folder(path) if path.is_dir() else None for path in paths]
    in_parts = [path for path, layout in zip(paths, inner, strict=True) if layout is not None and set(layout.parts) != {"all"}]
    if in_parts:
        raise SpecError(
            f"{in_parts[0]} comes in parts; only what trains is mixed.",
            remedy=f"name its training file with the weight, and its test part beside it: --test {in_parts[0]}/...",
        )
    kinds = {"table" if layout is None else layout.kind for layout in inner}
    if len(kinds) > 1:
        raise DataError(f"The sources are of several kinds ({', '.join(sorted(kinds))}).", remedy="mix sources of one kind")
    raise_together([error for path in given.values() if (error := _check_part(path))])
    kind: SourceKind = kinds.pop()
    mixed = [[path] if layout is None else list(layout.parts["all"]) for path, layout in zip(paths, inner, strict=True)]
    parts = {name: _tables_in(path) if kind == "table" else [path] for name, path in given.items()}
    files = {"train": [file for group in mixed for file in group], **parts}
    weights = [1.0 if weight is None else weight for _, weight in weighted]
    root = _common_root([file for group in files.values() for file in group])
    shown = " : ".join(f"{path.name} {weight:g}" for path, weight in zip(paths, weights, strict=True))
    layout = _split_layout(kind, root, files=files, reason=f"you mix sources by weight ({shown})")
    entries = [(group[0], weight) for group, weight in zip(mixed, weights, strict=True)]
    return replace(layout, name="+".join(_short_name(path) for path in paths), mixed=tuple(entries))


def _short_name(path: Path) -> str:
    name = path.resolve().name
    return (
        name[: -len(suffix)]
        if (suffix := "".join(path.suffixes[-2:] if name.lower().endswith(".gz") else path.suffixes[-1:]))
        else name
    )


def _from_flags(paths: list[Path], given: dict[str, Path]) -> Layout:
    """Parts given by `--train`, `--validation` and `--test`; one source beside them is the training part."""
    flags = ", ".join(f"--{part}" for part in given)
    if len(paths) > 1 or (paths and "train" in given):
        raise SpecError(
            f"{', '.join(map(str, paths))} and {flags} are both given: it is not clear what to train on.",
            remedy="luthier tune --train TRAIN --test TEST",
        )
    if not paths and "train" not in given:
        raise SpecError(f"{flags} is given, but nothing to train on.", remedy=f"--train FILE {flags} FILE")
    parts = {"train": paths[0], **given} if paths else given
    parts = {part: parts[part] for part in PARTS if part in parts}
    raise_together([error for path in parts.values() if (error := _check_part(path))])
    folders = [path for path in parts.values() if path.is_dir() and class_folders(path)]
    kind: SourceKind = media_in(*folders).source if len(folders) == len(parts) else "table"
    if folders and kind == "table":
        raise DataError("Some parts are folders of files by class and some are not.", remedy="give parts of the same kind")
    files = {part: _tables_in(path) if kind == "table" else [path] for part, path in parts.items()}
    reason = "you named the parts" if not paths else f"you named {flags}; {paths[0]} is the training part"
    return _split_layout(kind, _common_root([path for group in files.values() for path in group]), files=files, reason=reason)


def _check_part(path: Path) -> LuthierError | None:
    if not path.is_dir():
        return check_table_file(path)
    tables = _tables_in(path)
    if tables or class_folders(path):
        return next((error for table in tables if (error := check_table_file(table))), None)
    return DataError(
        f"{path} holds neither tables nor pictures or recordings in class folders.",
        remedy="name a file, or a folder with CLASS/picture.jpg or CLASS/recording.wav",
    )


def _tables_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return _tables_among(sorted(entry for entry in path.iterdir() if entry.is_file() and not is_hidden(entry.name)))


def _tables_among(files: Sequence[Path]) -> list[Path]:
    """Those that are tables. Beside other tables a .json file mostly holds notes; alone, or among its like, it is the data."""
    tables = [file for file in files if is_table_file(file)]
    return [file for file in tables if table_suffix(file) != ".json"] or tables


def _common_root(paths: Sequence[Path]) -> Path:
    if len({path.parent.absolute() for path in paths}) == 1 and paths[0].is_file():
        return paths[0].parent
    return Path(commonpath([path.absolute() if path.is_dir() else path.absolute().parent for path in paths]))


def _from_several(paths: list[Path]) -> Layout:
    """Several sources: only as parts of one data set, recognised by their names."""
    raise_together([error for path in paths if (error := _check_part(path) if path.exists() else missing(path))])
    named = {part: path for path in paths if (part := part_named(path.name) or part_mentioned(path.name))}
    if len(named) == len(paths) and "train" in named:
        return _from_flags([], {part: named[part] for part in PARTS if part in named})
    example = " ".join(f"--{part} {path}" for part, path in zip(("train", "test", "validation"), paths, strict=False))
    raise SpecError(
        f"{count_of(len(paths), 'source')} are given, and their names do not say which part each is, nor weights that they are "
        "to be mixed.",
        remedy=f"{example}; or {' '.join(f'{path}:1' for path in paths)}, to mix them",
    )


def _from_folder(folder: Path) -> Layout:
    entries = sorted(entry for entry in folder.iterdir() if not is_hidden(entry.name))
    from luthier.data.load.box_folders import layout_of_boxes

    if is_retrieval(folder):
        return _retrieval(folder, entries)
    if boxes := layout_of_boxes(folder):
        source, files = boxes
        if set(files) == {"all"}:
            return _single(source, folder, files=files["all"], entries=[], used=files["all"])
        return _from_parts(source, folder, assigned=files, entries=[])
    tables = _tables_among([entry for entry in entries if entry.is_file()])
    folders = [entry for entry in entries if entry.is_dir()]
    for assigned, is_table in (
        (_assign(tables, folder), True),
        (_assign([entry for entry in folders if class_folders(entry)], folder), False),
        (_assign([entry for entry in folders if _tables_in(entry)], folder), True),
    ):
        if "train" in assigned:
            used = [path for paths in assigned.values() for path in paths]
            kind: SourceKind = "table" if is_table else media_in(*used).source
            return _from_parts(kind, folder, assigned=assigned, entries=entries)
    classes = [entry for entry in folders if has_media(entry)] or class_folders(folder)
    if len(classes) > 1 or (classes and len(tables) != 1):
        return _single(media_in(*classes).source, folder, files=[folder], entries=entries, used=classes)
    if len(tables) == 1:
        raise_together([error] if (error := check_table_file(tables[0])) else [])
        return _single("table", folder, files=tables, entries=entries, used=tables)
    raise _unusable(folder, tables, entries=entries)


def _assign(candidates: Sequence[Path], folder: Path) -> dict[str, list[Path]]:
    """Candidates by part: those named exactly like a part; else the one that mentions it.

    Raises:
        DataError: two files claim the same part.
    """
    parts: dict[str, list[Path]] = {}
    for part in PARTS:
        exact = [path for path in candidates if part_named(path.name) == part]
        mentions = [path for path in candidates if part_mentioned(path.name) == part]
        chosen = exact or mentions
        shards = [path for path in chosen if _SHARD.search(_stem(path.name))]
        if len(chosen) > 1 and len(shards) < len(chosen):
            names = ", ".join(path.name for path in chosen)
            raise DataError(f"{folder} has several files for the part '{part}': {names}.", remedy=f"--{part} {chosen[0]}")
        if chosen:
            parts[part] = chosen
    return parts


def _from_parts(kind: SourceKind, folder: Path, *, assigned: dict[str, list[Path]], entries: list[Path]) -> Layout:
    used = [path for paths in assigned.values() for path in paths]
    files = {
        part: [file for path in paths for file in _tables_in(path)] if kind == "table" else paths
        for part, paths in assigned.items()
    }
    if kind == "table":
        raise_together([error for paths in files.values() for path in paths if (error := check_table_file(path))])
    names = ", ".join(f"{part}: {' '.join(path.name for path in paths)}" for part, paths in assigned.items())
    return _split_layout(
        kind,
        folder,
        files=files,
        reason=f"named so in {folder.resolve().name} ({names})",
        ignored=[e for e in entries if e not in used],
    )


def _split_layout(
    kind: SourceKind, root: Path, *, files: dict[str, list[Path]], reason: str, ignored: Sequence[Path] = ()
) -> Layout:
    """Settle what two parts, or one, mean."""
    parts: dict[str, list[Path]] = dict(files)
    if len(parts) == 1:
        parts = {"all": parts["train"]}
        reason += "; there is no other part, so test and validation are cut from it"
    elif "test" not in parts:
        parts = {"train": parts["train"], "test": parts["validation"]}
        reason += "; with two parts the second is the held-out test, and validation is cut from train"
    elif "validation" not in parts:
        reason += "; validation is cut from train"
    value = {part: [_relative(path, root) for path in paths] for part, paths in parts.items()}
    decision = Decision(name="parts", value=value, reason=reason, override="--train PATH --validation PATH --test PATH")
    name = _short_name(root) if len(files) > 1 or kind == "voc" else _short_name(next(iter(files.values()))[0])
    return Layout(
        kind=kind, name=name, root=root, parts=parts, decisions=(decision, *_ignoring(ignored, root)), ignored=tuple(ignored)
    )


def _single(kind: SourceKind, folder: Path, *, files: list[Path], entries: list[Path], used: list[Path]) -> Layout:
    ignored = [entry for entry in entries if entry not in used]
    what = f"the only table of the folder is {files[0].name}"
    if kind == "voc":
        what = "no list says which part a picture is of"
    elif kind != "table":
        what = f"one sub-folder of {media_in(*used).noun}s per class"
    value = {"all": [_relative(path, folder) for path in used]}
    decision = Decision(name="parts", value=value, reason=f"{what}; it is not split yet", override="--train PATH --test PATH")
    name = _short_name(folder)
    return Layout(
        kind=kind,
        name=name,
        root=folder,
        parts={"all": files},
        decisions=(decision, *_ignoring(ignored, folder)),
        ignored=tuple(ignored),
    )


def _retrieval(folder: Path, entries: list[Path]) -> Layout:
    """Queries, documents and judgements; the judgements' files are named like parts, or there is one of them."""
    tables = judgement_files(folder)
    parts = {part: paths[:1] for part, paths in _assign(tables, folder).items()} if len(tables) > 1 else {"train": tables}
    if "train" not in parts and len(parts) == 1:  # a benchmark's test queries are all there is: they are cut in parts
        parts = {"train": next(iter(parts.values()))}
    used = [CORPUS, QUERIES, JUDGEMENTS]
    ignored = [entry for entry in entries if entry.name not in used]
    ignored += [path for path in tables if all(path not in paths for paths in parts.values())]
    names = ", ".join(f"{part}: {paths[0].name}" for part, paths in parts.items())
    reason = f"{folder.resolve().name} holds {CORPUS}, {QUERIES} and judgements ({names})"
    made = _split_layout("retrieval-folder", folder, files=parts, reason=reason, ignored=ignored)
    return replace(made, name=_short_name(folder))


def _ignoring(ignored: Sequence[Path], root: Path) -> tuple[Decision[Any], ...]:
    if not ignored:
        return ()
    reasons = {_relative(path, root): _why_ignored(path) for path in ignored}
    reason = "; ".join(f"{name} {why}" for name, why in list(reasons.items())[:_SHOWN])
    override = "--train PATH --validation PATH --test PATH"
    return (Decision(name="ignored_files", value=list(reasons), reason=reason, evidence=reasons, override=override),)


def _why_ignored(path: Path) -> str:
    if path.is_dir():
        return "is a folder without pictures or recordings by class or tables of a part"
    if not is_table_file(path):
        return "is no table"
    part = part_mentioned(path.name)
    return f"is not the file named exactly '{part}', and look-alikes are never mixed" if part else "is named after no part"


def _relative(path: Path, root: Path) -> str:
    return (
        path.absolute().relative_to(root.absolute()).as_posix()
        if path.absolute().is_relative_to(root.absolute())
        else str(path)
    )


def _unusable(folder: Path, tables: list[Path], *, entries: list[Path]) -> LuthierError:
    if tables:
        names = ", ".join(path.name for path in tables[:_SHOWN]) + (", …" if len(tables) > _SHOWN else "")
        return DataError(
            f"{folder} holds {count_of(len(tables), 'table')}, and their names do not say which is which part: {names}.",
            remedy=f"--train {tables[0]} --test {tables[1]}, or name one: luthier tune {tables[0]}",
        )
    if has_media(folder):
        media = media_in(folder)
        return DataError(
            f"The {media.noun}s in {folder} are not in class folders, so their labels are not known.",
            remedy=f"one sub-folder per class: {folder}/CLASS/{media.example}; or a table with a column of paths",
        )
    inner = [entry for entry in entries if entry.is_dir() and (_tables_in(entry) or class_folders(entry))]
    if inner:
        names = ", ".join(entry.name for entry in inner[:_SHOWN])
        return DataError(f"{folder} holds several data sets ({names}) and is none itself.", remedy=f"luthier tune {inner[0]}")
    odd = [unsupported(entry) for entry in entries if entry.is_file() and not is_table_file(entry)]
    found = ", ".join(entry.name for entry in entries[:_SHOWN]) or "nothing"
    remedy = (
        odd[0].remedy
        if len(odd) == 1
        else "give a CSV, TSV, JSONL or Parquet file, or a folder with one sub-folder of pictures or recordings per class"
    )
    return DataError(
        f"{folder} holds neither tables nor pictures or recordings in class folders (found: {found}).", remedy=remedy
    )
