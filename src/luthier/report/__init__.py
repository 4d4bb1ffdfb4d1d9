"""One self-contained HTML file from the records of a run: no live model, no script, no request to anywhere.

`page` writes it, `records` reads the run folder, `sections` holds one file per section, `templates` how they look. The two
public functions are imported on first use, so that `wording` can be used without the rest.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luthier.report.page import wanted_examples, write_report

__all__ = ["wanted_examples", "write_report"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from luthier.report import page

        return getattr(page, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
