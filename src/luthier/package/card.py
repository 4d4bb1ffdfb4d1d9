"""The model card: `README.md` of the model folder, in the Hugging Face form, from records only.

No path of the machine and none of the users' texts gets into it: a card goes where the model goes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from luthier.core.names import count_of
from luthier.core.storage import read_json, write_text
from luthier.core.yaml_text import write_scalar
from luthier.evaluation.card_text import render_text
from luthier.evaluation.display import counted, format_number, format_score, measure_title, task_title
from luthier.evaluation.records import Metrics
from luthier.models.load import NETWORKS
from luthier.models.own import LUTHIERS, OWN, package_of
from luthier.package.folder import ModelDescription
from luthier.tasks import TASKS
from luthier.tasks.protocol import Task, has_own_head
from luthier.tasks.row_task import COLUMNS

MOST_WEAK_CLASSES = 3
METHODS_WITH_ADAPTER = ("lora", "dora", "ia3")
ADAPTER = """ The adapter it was tuned with is merged into these weights; alone, as peft reads it, it is
in `adapter/`: `peft.PeftModel.from_pretrained(pretrained_model, "path/to/this/folder/adapter")`."""
# The hub's names, where they are others and do not follow from the kind of answer.
HUB_TASKS = {
    "span-extraction": "token-classification",
    "token-tagging": "token-classification",
    "speech-recognition": "automatic-speech-recognition",
    "speech-to-text": "automatic-speech-recognition",
    "sequence-to-sequence": None,
    "chat": "text-generation",
    "instruction": "text-generation",
    "causal-language-modeling": "text-generation",
    "masked-language-modeling": "fill-mask",
    "text-retrieval": "sentence-similarity",
    "text-similarity": "sentence-similarity",
}
SOURCE = {"text": "new.csv", "image": "photos/", "audio": "recordings/", "table": "new.csv"}
INPUTS = {"text": "texts", "image": "images", "audio": "recordings", "table": "rows of a table"}
TABLE_NETWORK = """How each column is read is in
`processor.json`; `backbone.json` and `model.safetensors` are the network on the columns, built by Luthier itself"""


def write_card(folder: Path, metrics: Metrics, description: ModelDescription, *, data: Mapping[str, Any], method: str) -> None:
    """Write the card into a model folder."""
    builder = read_json(folder / OWN)["builder"] if (folder / OWN).is_file() else ""
    write_text(folder / "README.md", render_card(metrics, description, data=data, method=method, builder=builder))


def render_card(
    metrics: Metrics, description: ModelDescription, *, data: Mapping[str, Any], method: str, builder: str = ""
) -> str:
    """The card's text: what the model is, how to use it, what was measured, where it comes from, what to mind.

    Args:
        builder: `module:function` that builds the network, where no Hugging Face class does.
    """
    parts = [
        _front_matter(metrics, description),
        _summary(metrics, description, data=data, method=method),
        _use(description, builder) + (ADAPTER if method.partition(":")[0] in METHODS_WITH_ADAPTER else ""),
        f"## Evidence\n\n```\n{render_text(metrics).rstrip()}\n```",
        _data(data),
        _origin(description),
        _limits(metrics),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(metrics: Metrics, description: ModelDescription) -> str:
    """What model hubs and their search read. The licence is that of the pre-trained weights, which bind the tuned ones."""
    base = description.base
    facts = {
        "base_model": None if base.get("origin") else base.get("hub_id") or base.get("name"),
        "license": str(base["licence"]).lower() if base.get("licence") else None,
        "pipeline_tag": _hub_task(metrics.task, description.modality, metrics.answer_kind),
        "library_name": "luthier",
    }
    lines = [f"{key}: {write_scalar(value)}" for key, value in facts.items() if value]
    return "\n".join(["---", *lines, "---"])


def _hub_task(task: str, modality: str, answer_kind: str) -> str | None:
    """What the hub calls a task; it has no word for numbers that are told of texts, pictures or sounds.

    Example:
        >>> _hub_task("audio-multi-label", "audio", "labels"), _hub_task("text-regression", "text", "number")
        ('audio-classification', None)
    """
    field = {"table": "tabular"}.get(modality, modality)
    if answer_kind == "number":
        return "tabular-regression" if modality == "table" else None
    return f"{field}-classification" if answer_kind in ("label", "labels") else HUB_TASKS.get(task, task)


def _summary(metrics: Metrics, description: ModelDescription, *, data: Mapping[str, Any], method: str) -> str:
    interval = metrics.test["tuned"][metrics.primary_measure]
    low, high = (format_score(metrics.primary_measure, value) for value in (interval.low, interval.high))
    warning = ""
    if metrics.verdict == "do not keep":
        warning = f"\n\n**Not recommended for use**: what the card recommends instead is `{metrics.recommended}`."
    base = description.base
    subject = "A network made for these columns" if base.get("origin") else f"`{base.get('name')}`"
    return (
        f"# {data['name']}: {task_title(metrics.task)}\n\n"
        f"{subject}, tuned on {data['name']} by the method `{method}`. {_sentence(headline(metrics))} "
        f"({100 * metrics.confidence:g} % interval {low} to {high}) on {count_of(metrics.n, 'test example')} that no model was "
        f"trained or chosen on.\n\nVerdict: **{metrics.verdict}**. {_sentence(metrics.verdict_reason)}{warning}"
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _use(description: ModelDescription, builder: str) -> str:
    task, modality = TASKS[description.state.task], description.modality
    kind = "table" if COLUMNS in description.state.values else modality
    is_foreign = bool(builder) and builder not in LUTHIERS
    flag = f" --allow {package_of(builder)}" if is_foreign else ""
    allow = f', allow=["{package_of(builder)}"]' if is_foreign else ""
    head = "; the head on top of it is `head.safetensors`, described in `luthier.json`"
    held = "`config.json` and `model.safetensors` are the tuned encoder for\n`transformers.AutoModel.from_pretrained`"
    if builder:
        held = f"`backbone.json` and `model.safetensors` are the tuned network,\nwhich `{builder}` builds"
    if modality == "table":
        held = TABLE_NETWORK
    if has_own_head(task):
        held = "`config.json` and `model.safetensors` are the tuned network for\n"
        held += f"`transformers.{NETWORKS[task.network]}.from_pretrained`"
        head = "; how it writes is in `generation_config.json`" if task.generate else ""
    return f"""## Use

```python
import luthier

model = luthier.load_model("path/to/this/folder"{allow})
model.predict([{_example(task, description)}])
```

```
luthier predict path/to/this/folder {SOURCE[kind]}{flag} --out answers.csv
```

It takes {INPUTS[kind]} and answers with {task.describe(description.state)}. It runs in {description.precision}, the
precision it was measured in. {held}{head}."""


def _example(task: Task, description: ModelDescription) -> str:
    """A row as one writes it: of a table with its own columns."""
    columns = description.state.values.get(COLUMNS)
    if not columns:
        return task.example
    values = {"number": "0", "datetime": '"2025-01-31"'}
    return "{" + ", ".join(f'"{name}": ' + values.get(kind, '"..."') for name, kind in columns) + "}"


def _data(data: Mapping[str, Any]) -> str:
    files = ", ".join(f"`{PurePath(name).name}`" for name in data["files"])
    parts = ", ".join(f"{count:,} {part}" for part, count in data["parts"].items())
    roles = ", ".join(f"{role} = `{column}`" for role, column in data["roles"].items())
    read = ", ".join(f"`{column}`" for column in data.get("features", ()))
    roles += f". Read by the model: {read}" if read else ""
    return (
        f"## Data\n\nFiles: {files}. Rows: {parts}. Columns: {roles}.\n\n"
        "Luthier does not know the licence of these data, nor whether people are in them: whoever passes the model on has to."
    )


def _origin(description: ModelDescription) -> str:
    base = description.base
    if base.get("origin"):
        texts = (
            f" Texts are read by `{base['text_model']}` (licence: {base['licence'] or 'not stated'})."
            if base.get("text_model")
            else ""
        )
        if base.get("image_model"):
            texts += (
                f" Pictures are read by `{base['image_model']}`, sha256 `{base['image_model_sha256']}` "
                f"(licence: {base['image_model_licence'] or 'not stated'})."
            )
        return f"## Origin\n\nThe network was {base['origin']}; nobody else's weights are in it.{texts}"
    revision = f", revision `{base['revision']}`" if base.get("revision") else ""
    licence = base.get("licence") or "not stated by its source: find it out before passing the model on"
    digest = f", sha256 `{base['weights_sha256']}`" if base.get("weights_sha256") else ""
    name = base.get("hub_id") or base.get("name")
    return f"## Origin\n\nPre-trained weights: `{name}`{revision}{digest}. Their licence: {licence}."


def _limits(metrics: Metrics) -> str:
    weak = weakest_classes(metrics.per_class, metrics.answer_kind)
    lines = [
        "- It answers any input, also one that is like none it has learnt from.",
        "- The figures hold for data like the test part; nothing was measured beyond it: other sources, other languages, "
        "later times.",
        "- Whether it treats groups of people alike was not measured.",
    ]
    if metrics.calibration:
        lines.append("- Its probabilities are not certainties: the report shows how far to trust them.")
    if metrics.answer_kind == "number":
        lines.insert(1, "- Nothing keeps its numbers within those that it has learnt from.")
        quantiles: Any = metrics.details.get("distance_quantiles")
        lines.insert(0, f"- One answer in ten is more than {format_number(quantiles['0.9'])} off, on the test part.")
    if weak:
        lines.insert(0, f"- Weakest on: {weak}.")
    return "## Limits\n\n" + "\n".join(lines)


def weakest_classes(per_class: Sequence[Mapping[str, object]], answer_kind: str = "label") -> str:
    """The classes with the lowest F1 on test, if they were not perfect."""
    scored = [(float(str(row["f1"])), row) for row in per_class]
    worst = sorted((item for item in scored if item[0] < 1), key=lambda item: item[0])[:MOST_WEAK_CLASSES]
    return ", ".join(f"`{row['label']}` (F1 {f1:.2f}, {counted(int(str(row['support'])), answer_kind)})" for f1, row in worst)


def headline(metrics: Metrics) -> str:
    """The primary measure of the tuned model in words."""
    interval = metrics.test["tuned"][metrics.primary_measure]
    return f"{measure_title(metrics.primary_measure)} {format_score(metrics.primary_measure, interval.value)}"
