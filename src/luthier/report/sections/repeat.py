"""Section 8: how to use the model, how to repeat the run, and what the words mean."""

import shlex
from collections.abc import Mapping
from typing import Any

from luthier.core.names import count_of
from luthier.core.storage import format_bytes
from luthier.report.records import RunRecords
from luthier.report.section import Section

GLOSSARY = {
    "Accuracy": "The share of examples that get the right label.",
    "Precision": "Of the answers “this is X”, the share that is right. High precision means few false alarms.",
    "Recall": "Of the examples that really are X, the share that was found. High recall means little is missed.",
    "F1": "Precision and recall in one number; it is high only when both are. Macro F1 is the mean over all labels.",
    "Interval": "The range in which the score would probably fall on another test set of the same kind and size. "
    "Wide intervals mean that there were few examples.",
    "p-value": "How often a difference this large would show up by chance if both models were equally good. Small values "
    "(below 0.05) speak for a real difference. Holm's correction keeps this honest when several models are compared at once.",
    "Points": "Percentage points: from 90 % to 92 % is a gain of 2 points.",
    "Training, validation, test": "Three parts of the data. The model learns from the first, choices are made on the second, "
    "and the third is looked at once, at the end.",
    "Backbone and head": "The pre-trained network, and the small last layer that turns what it sees into labels.",
    "Block": "One of the equal pieces that a network is stacked from. Frozen blocks stay as they were.",
    "Probe": "Only a new head is trained; the pre-trained network stays untouched. The cheapest way to use it.",
    "Rung, ladder": "The way training was done: start with the cheapest method, climb to costlier ones while they help.",
    "Learning curve": "How the error in training falls, and how the score on validation rises, as training goes on.",
    "Overfitting": "Learning the training examples by heart: training gets better while validation gets worse.",
    "Calibration": "Whether a confidence of 80 % comes true in 80 % of cases.",
    "Standard error": "The typical size of the chance part of a number.",
}


def build_repeat(run: RunRecords) -> Section:
    """Commands, versions, machine, the whole spec, and a glossary."""
    machine = run.machine
    facts = {
        "commands": commands(run),
        "versions": [("python", machine["python"]), *machine["packages"].items()] if machine else [],
        "machine": machine_in_words(machine) if machine else "",
        "glossary": GLOSSARY,
        "seeds": ", ".join(map(str, run.metrics.seeds)),
    }
    return Section(title="How to use it, and how to repeat it", template="repeat.html", facts=facts)


def commands(run: RunRecords) -> list[tuple[str, str]]:
    """(what it does, what to type)."""
    name = shlex.quote(run.folder_name)
    folders = {"image": "folder-of-pictures", "audio": "folder-of-recordings"}
    new = next((folder for role, folder in folders.items() if role in run.data.roles), "new.csv")
    return [
        ("Label new examples", f"luthier predict {name}/model {new}"),
        ("Repeat this run", f"luthier tune {name}/spec.yaml"),
        ("Repeat it with one thing changed", f"luthier tune {name}/spec.yaml --set training.num_epochs=5"),
    ]


def machine_in_words(machine: Mapping[str, Any]) -> str:
    """The machine in a line."""
    memory = format_bytes(machine["memory_bytes"])
    return f"{machine['cpu']}, {count_of(machine['cores'], 'core')}, {memory} memory, {machine['system']}"
