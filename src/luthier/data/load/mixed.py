"""Sources that are mixed: joined by the columns they share, and told apart by the ids of their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from luthier.core.names import all_of, nearest_name
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.findings import Finding
from luthier.data.load.layout import Layout
from luthier.data.load.source import Source
from luthier.data.load.tables import DIFFERENT, name_below
from luthier.data.mixture import Mixture
from luthier.errors import DataError


def as_mixture(source: Source, layout: Layout) -> Source:
    """The source with its mixture; columns that only some of the mixed files have are left out, and named.

    Raises:
        DataError: the sources share no column.
    """
    names = [name_below(path, layout.root) for path, _ in layout.mixed]
    mixture = Mixture(names=tuple(names), weights=tuple(weight for _, weight in layout.mixed))
    lacking = {
        str(finding.evidence["file"]): list(finding.evidence["absent"])
        for finding in source.findings
        if finding.check == DIFFERENT and finding.evidence["file"] in names
    }
    others = [finding for finding in source.findings if finding.check != DIFFERENT or finding.evidence["file"] not in lacking]
    left_out = [name for name in source.table.column_names if any(name in absent for absent in lacking.values())]
    table = source.table.drop_columns(left_out)
    if table.column_names == [EXAMPLE_ID]:
        raise DataError(
            f"The sources {all_of(names)} share no column: nothing of one can be learnt for another.",
            remedy="give them the same header",
        )
    told = [_left_out(names, lacking, left_out, kept=table.column_names)] if left_out else []
    return replace(source, table=table, mixture=mixture, findings=(*others, *told))


def _left_out(
    names: Sequence[str], lacking: Mapping[str, Sequence[str]], left_out: Sequence[str], *, kept: Sequence[str]
) -> Finding:
    said = []
    for name in left_out:
        without = [file for file in names if name in lacking.get(file, ())]
        guess = nearest_name(name, [other for other in left_out if other != name])
        like = f" (is it '{guess}' of another?)" if guess else ""
        said.append(f"'{name}' is not in {all_of(without)}{like}")
    return Finding(
        check=DIFFERENT,
        severity="warning",
        problem=f"Sources that are mixed are joined by the columns they share; left out: {'; '.join(said)}.",
        remedy="give columns that mean the same the same name",
        count=len(left_out),
        evidence={"left_out": list(left_out), "kept": [name for name in kept if name != EXAMPLE_ID]},
    )
