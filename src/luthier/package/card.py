"""The model card: `README.md` of the model folder, in the Hugging Face form, from records only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.core.records import to_json
from luthier.core.storage import write_text
from luthier.evaluation.card_text import render_text
from luthier.evaluation.display import format_score, measure_title
from luthier.evaluation.records import Metrics
from luthier.package.folder import ModelDescription

MOST_LABELS = 40


def write_card(folder: Path, metrics: Metrics, description: ModelDescription, *, data: Mapping[str, Any], method: str) -> None:
    """Write the card into a model folder."""
    write_text(folder / "README.md", render_card(metrics, description, data=data, method=method))


def render_card(metrics: Metrics, description: ModelDescription, *, data: Mapping[str, Any], method: str) -> str:
    """The card's text: what the model is, how to use it, what was measured, where it comes from, what to mind."""
    base, labels = description.base, list(description.state.labels)
    shown = ", ".join(f"`{label}`" for label in labels[:MOST_LABELS])
    shown += f" and {len(labels) - MOST_LABELS} more" if len(labels) > MOST_LABELS else ""
    parts = ", ".join(f"{count:,} {part}" for part, count in data["parts"].items())
    weakest = sorted(metrics.per_class, key=lambda row: float(str(row["f1"])))[:3]
    weak = ", ".join(f"`{row['label']}` (F1 {float(str(row['f1'])):.2f})" for row in weakest)
    lines = [
        "---",
        f"base_model: {to_json(base.get('name'))}",
        *([f"license: {to_json(base['licence'])}"] if base.get("licence") else []),
        f"pipeline_tag: {metrics.task}",
        "library_name: luthier",
        "---",
        "",
        f"# {data['name']}: {metrics.task.replace('-', ' ')}",
        "",
        f"`{base.get('name')}` tuned on {data['name']} by the method `{method}`. Verdict: **{metrics.verdict}**.",
        f"{metrics.verdict_reason}",
        "",
        "## Use",
        "",
        "```python",
        "import luthier",
        "",
        'model = luthier.load_model("path/to/this/folder")',
        'model.predict(["..."])',
        "```",
        "",
        f"It answers with one of {len(labels)} labels: {shown}.",
        f"It runs in {description.precision}, the precision it was measured in.",
        "",
        "## Evidence",
        "",
        f"Scored once on {metrics.n:,} test examples that nobody tuned on.",
        "",
        "```",
        render_text(metrics).rstrip(),
        "```",
        "",
        "## Data",
        "",
        f"Files: {', '.join(data['files'])}. Parts: {parts}. Columns: "
        + ", ".join(f"{role} = `{column}`" for role, column in data["roles"].items())
        + ". The licence of the data is not known to Luthier; whoever passes the model on must.",
        "",
        "## Origin and limits",
        "",
        f"- Pre-trained weights: {base.get('name')}, licence {base.get('licence') or 'not stated'}, "
        f"sha256 `{base.get('weights_sha256')}`.",
        f"- Weakest classes on test: {weak}." if weak else "",
        "- It knows only the labels above and gives one of them to any input, also to one that fits none.",
        "- The figures hold for data like the test part; nothing was measured beyond it.",
        "",
    ]
    return "\n".join(line for line in lines if line is not None)


def headline(metrics: Metrics) -> str:
    """The primary measure of the tuned model in words."""
    interval = metrics.test["tuned"][metrics.primary_measure]
    return f"{measure_title(metrics.primary_measure)} {format_score(metrics.primary_measure, interval.value)}"
