"""Recordings that cannot be used: missing, unreadable, empty, too long, damaged, silent; and what is remarkable about
others: clipped, very short, of several rates, of several channels."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from luthier.core.names import count_of
from luthier.core.sound import FAULTS, SoundHeader, inspect_header, soundfile
from luthier.data.checks.check import Check
from luthier.data.checks.unusable_files import FileCheck, FileState
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.keys import missing_cells
from luthier.data.wording import name_rows

NAME = "audio"
SILENT_PEAK = 10 ** (-70 / 20)  # 70 dB below full scale: below the noise of 12 bits
CLIPPED_LEVEL, CLIPPED_RUN, CLIPPED_RUNS = 0.999, 3, 3  # so many samples in a row at full scale, so many times
SHORT_SECONDS = 0.05
BLOCK_FRAMES = 1 << 18
_THREADS = 4

FILES = FileCheck(
    name=NAME,
    noun="recording",
    flag="--audio",
    look="listen to these files",
    states={
        **{state: FileState(words=words, is_unusable=True) for state, words in FAULTS.items()},
        "damaged": FileState(words="damaged: they cannot be decoded to their end", is_unusable=True),
        "silent": FileState(words="silent from beginning to end (nothing above -70 dB)", is_unusable=True),
        "clipped": FileState(words="clipped: too loud for the recorder, flat at full scale", is_unusable=False),
        "short": FileState(words=f"shorter than {SHORT_SECONDS * 1000:g} ms", is_unusable=False),
    },
)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What was found out about one file.

    Attributes:
        states: Of `FILES.states`; the first is the worst.
        header: None if it could not be read.
    """

    states: tuple[str, ...] = ()
    header: SoundHeader | None = None


def check_audio(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Decode every recording once, in threads and block by block; limits are judged from the header, before that."""
    column = dataset.column("audio")
    present = np.flatnonzero(~missing_cells(column))
    heard = dict(zip(present.tolist(), inspect_recordings(column.take(present).to_pylist()), strict=True))
    findings = []
    for part, rows in dataset.parts.items():
        for state in FILES.states:
            found = np.array([row for row in rows.tolist() if row in heard and state in heard[row].states], dtype=np.int64)
            if len(found):
                findings.append(FILES.finding(dataset, part, state=state, rows=found))
    headers = {row: one.header for row, one in heard.items() if one.header is not None}
    return [*findings, *_formats(dataset, headers)]


def inspect_recordings(paths: list[str]) -> list[Heard]:
    """What is to be said of each file.

    Raises:
        MissingExtraError: soundfile is not installed.
    """
    soundfile()
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(_inspect, paths))


def _inspect(path: str) -> Heard:
    header, fault = inspect_header(Path(path))
    if fault or header is None:
        return Heard(states=(fault,))
    peak, frames, runs = 0.0, 0, 0
    try:
        for block in soundfile().blocks(path, blocksize=BLOCK_FRAMES, dtype="float32", always_2d=True):
            levels = np.abs(block)
            frames, peak = frames + len(block), max(peak, float(levels.max(initial=0.0)))
            runs += _clipped_runs(levels) if peak >= CLIPPED_LEVEL else 0
    except (OSError, ValueError, RuntimeError):
        return Heard(states=("damaged",))
    if frames < header.frames or not np.isfinite(peak):
        return Heard(states=("damaged",))
    if peak < SILENT_PEAK:
        return Heard(states=("silent",), header=header)
    remarks = {"clipped": runs >= CLIPPED_RUNS, "short": header.seconds < SHORT_SECONDS}
    return Heard(states=tuple(state for state, is_so in remarks.items() if is_so), header=header)


def _clipped_runs(levels: np.ndarray) -> int:
    """How often some samples in a row are at full scale, in any channel."""
    full = np.pad((levels >= CLIPPED_LEVEL).astype(np.int8), ((1, 1), (0, 0)))
    changes = np.diff(full, axis=0)
    lengths = np.flatnonzero(changes.T.reshape(-1) == -1) - np.flatnonzero(changes.T.reshape(-1) == 1)
    return int((lengths >= CLIPPED_RUN).sum())


def _formats(dataset: Dataset, headers: dict[int, SoundHeader]) -> list[Finding]:
    """Rates and channels that are not those of most recordings."""
    findings = []
    if not headers:
        return []
    for what, values, consequence in (
        ("Hz", {row: header.rate for row, header in headers.items()}, "all are resampled to the rate that the model takes"),
        ("channels", {row: header.channels for row, header in headers.items()}, "they are mixed down to one"),
    ):
        counts = {value: sum(other == value for other in values.values()) for value in sorted(set(values.values()))}
        usual = max(counts, key=lambda value: counts[value])
        is_plain = what == "channels" and usual == 1
        odd = np.array([row for row, value in values.items() if value != usual], dtype=np.int64)
        if not len(odd) and (what == "Hz" or is_plain):
            continue
        shown = ", ".join(f"{count:,} of {_value(value, what)}" for value, count in counts.items())
        rows = odd if len(odd) else np.array(list(values), dtype=np.int64)
        others = f" Others than most: {name_rows(dataset, odd)}" if len(odd) else ""
        findings.append(
            Finding(
                check=NAME,
                severity="info",
                problem=f"The recordings are {shown}; {consequence}.{others}",
                remedy="nothing to do; but where they go with the label, a model may learn the recorder instead of the sound",
                count=len(rows),
                rows=rows,
                evidence={"rates" if what == "Hz" else "channels": {str(value): count for value, count in counts.items()}},
            )
        )
    return findings


def _value(value: int, what: str) -> str:
    return f"{value:,} Hz" if what == "Hz" else count_of(value, "channel")


CHECK = Check(name=NAME, about="Unreadable, empty, silent, clipped and too long recordings", find=check_audio, roles=("audio",))
