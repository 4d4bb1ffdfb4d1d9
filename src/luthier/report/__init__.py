"""One self-contained HTML file from the records of a run: no live model, no script, no request to anywhere.

`page` writes it, `records` reads the run folder, `sections` holds one file per section, `templates` how they look.
"""

from luthier.report.page import wanted_examples, write_report

__all__ = ["wanted_examples", "write_report"]
