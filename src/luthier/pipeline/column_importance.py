"""How much each column of a table matters to the tuned model: what its score on validation loses when the column is shuffled.

Source: Breiman 2001, "Random forests" (permutation importance). Columns that say the same cover for each other: each of them
may look less important than both are.
"""

from collections.abc import Mapping

import numpy as np

from luthier.core.seeding import generator_for
from luthier.evaluation.measures import MEASURES
from luthier.models.table_processor import TableProcessor
from luthier.package.model import Model
from luthier.pipeline.choose import Chosen
from luthier.pipeline.prepare import Prepared
from luthier.tasks.table_inputs import TableInputs
from luthier.training.ladder import score_of

MOST_ROWS, SHUFFLES = 1000, 2


def column_importance(prepared: Prepared, chosen: Chosen, model: Model, *, seed: int) -> Mapping[str, float]:
    """Column -> mean loss of the primary measure over shuffles; the most important first. Empty where no columns are read."""
    processor, inputs = chosen.processor, chosen.inputs
    if not isinstance(processor, TableProcessor) or not isinstance(inputs, TableInputs):
        return {}
    rows = chosen.parts["validation"]
    if len(rows) > MOST_ROWS:
        rows = np.sort(generator_for(seed, "importance").choice(rows, MOST_ROWS, replace=False))
    table, some = chosen.table.take(rows), inputs.of(rows)
    measure, roles = prepared.task.primary_measure, prepared.dataset.schema.roles
    sign = 1.0 if MEASURES[measure].direction == "higher" else -1.0

    def score(these: TableInputs) -> float:
        return sign * score_of(prepared.task.predictions(table, model.answers(these), chosen.state, roles), measure)

    whole = score(some)
    found = {}
    for column in processor.content.columns:
        orders = [generator_for(seed, f"importance/{column}/{turn}").permutation(len(rows)) for turn in range(SHUFFLES)]
        found[column] = whole - float(np.mean([score(some.shuffled(column, processor.content, order)) for order in orders]))
    return dict(sorted(found.items(), key=lambda item: -item[1]))
