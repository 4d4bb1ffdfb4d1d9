"""The sections of the report, in reading order. One file each: a function from the run's records to a
`Section`, or to None where the run has nothing of the kind."""

from collections.abc import Callable

from luthier.core.family import Family
from luthier.report.records import RunRecords
from luthier.report.section import Section

SECTIONS: Family[Callable[[RunRecords], Section | None]] = Family(
    "report section",
    {
        "summary": "luthier.report.sections.summary:build_summary",
        "evidence": "luthier.report.sections.evidence:build_evidence",
        "search": "luthier.report.sections.search:build_search",
        "training": "luthier.report.sections.training:build_training",
        "data": "luthier.report.sections.data:build_data",
        "columns": "luthier.report.sections.columns:build_columns",
        "boxes": "luthier.report.sections.boxes:build_boxes",
        "failures": "luthier.report.sections.failures:build_failures",
        "calibration": "luthier.report.sections.calibration:build_calibration",
        "decisions": "luthier.report.sections.decisions:build_decisions",
        "repeat": "luthier.report.sections.repeat:build_repeat",
    },
)
