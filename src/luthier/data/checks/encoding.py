"""Text damaged on its way: replacement characters, UTF-8 read as Latin-1, control characters."""

import numpy as np

from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.wording import name_rows, share_of

NAME = "encoding"
WARNING_FRACTION = 0.01
# Every sign of damage contains one of these; clean text is passed over at the speed of this one search.
DAMAGE = {
    "the replacement character U+FFFD": r"\x{FFFD}",
    "UTF-8 read as Latin-1 or Windows-1252 (such as 'Ã©' for 'é')": r"[ÃÂ][\x{0080}-\x{00BF}]|â€|ðŸ|Ã[ƒ‚€š]",
    "control characters (C0, C1 or NUL)": r"[\x{0000}-\x{0008}\x{000E}-\x{001F}\x{0080}-\x{009F}]",
}


def check_encoding(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Texts that show signs of a wrong encoding, by kind of damage."""
    import pyarrow as pa
    import pyarrow.compute as pc

    findings = []
    for role in ("text", "text_pair"):
        if role not in dataset.schema.roles:
            continue
        column = dataset.column(role).cast(pa.large_string())
        suspicious = np.flatnonzero(pc.match_substring_regex(column, "|".join(DAMAGE.values())).fill_null(False).to_numpy())
        texts = column.take(suspicious)
        for what, pattern in DAMAGE.items():
            rows = suspicious[np.asarray(pc.match_substring_regex(texts, pattern).to_numpy(), dtype=bool)]
            if len(rows):
                findings.append(_finding(dataset, dataset.schema.roles[role], what=what, rows=rows))
    return findings


def _finding(dataset: Dataset, column: str, *, what: str, rows: np.ndarray) -> Finding:
    whole = dataset.table.num_rows
    return Finding(
        check=NAME,
        severity="warning" if len(rows) >= WARNING_FRACTION * whole else "info",
        problem=f"{share_of(len(rows), whole)} {'shows' if len(rows) == 1 else 'show'} {what} in column '{column}'. "
        f"{name_rows(dataset, rows)}",
        remedy="save the file as UTF-8 again from where it came; the texts are used as they are",
        count=len(rows),
        rows=rows,
        evidence={"column": column},
    )


CHECK = Check(
    name=NAME, about="Replacement characters, mojibake, control characters", find=check_encoding, roles=("text", "text_pair")
)
