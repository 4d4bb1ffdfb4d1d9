"""Writes the pages made from the code: one per method from its card; settings, checks, measures, schedules, regularisers.

    python docs/make_pages.py              after changing a method card, a setting, a check or a measure
    python docs/make_pages.py demo-run     also puts the evidence card of that run into README.md

A test holds that the pages in the repository are what this script writes.
"""

import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from luthier.core.keys import Key
from luthier.core.yaml_text import write_scalar
from luthier.data.checks import CHECKS
from luthier.data.checks.policy import flag_of
from luthier.evaluation.card import EvidenceCard, read_metrics
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.records import IndexedMeasure
from luthier.spec import SECTIONS, all_keys
from luthier.training.methods import METHODS, build_rung
from luthier.training.methods.rung import Rung
from luthier.training.optimizer import OPTIMIZERS, build_recipe
from luthier.training.schedules import SCHEDULES, build_schedule

ROOT = Path(__file__).parents[1]
LABEL = re.compile(r"(?:^|(?<=[.;] ))(?=(?:Use when|Cost|Suggested [\w ]+|Source): )")
CARD = re.compile(r"(?<=<!-- card -->\n).*?(?=<!-- /card -->)", re.DOTALL)
EXAMPLE_BLOCKS = 6


def pages() -> dict[str, str]:
    """Path below `docs/` -> content, of every page that is made."""
    made: dict[str, Callable[[], str]] = {
        "reference/settings.md": settings_page,
        "reference/checks.md": checks_page,
        "reference/measures.md": measures_page,
        "reference/schedules.md": schedules_page,
        "reference/regularisers.md": regularisers_page,
        "reference/optimizers.md": optimizers_page,
    }
    return {f"methods/{name}.md": method_page(name) for name in METHODS} | {path: make() for path, make in made.items()}


def method_page(name: str) -> str:
    """The page of a method: its card, what it does to a model of six blocks, how to ask for it."""
    card = sys.modules[METHODS[name].__module__].__doc__ or ""
    first, _, rest = card.partition("\n\n")
    facts = _facts(rest)
    rung = build_rung(getattr(sys.modules[METHODS[name].__module__], "EXAMPLE", name), num_blocks=EXAMPLE_BLOCKS)
    lines = [f"# Method: {name}", "", " ".join(first.split()), ""]
    lines += [re.sub(r"^([^:]+): (.)", lambda m: f"- **{m[1]}:** {m[2]}", fact) for fact in facts]
    lines += ["", *_defaults(rung), "```bash", f"luthier tune tickets.csv --target category --method {rung.name}", "```", ""]
    return "\n".join(lines)


def _defaults(rung: Rung) -> list[str]:
    if not rung.num_epochs:
        return []
    what = {"all": "the blocks", "biases": "the biases"}.get(str(rung.moves), "the adapter")
    return [
        f"Where you say nothing else it trains for at most {rung.num_epochs:g} epochs (more on small tables, which would give",
        f"too few steps), at a peak learning rate of {rung.learning_rate:g} for {what} and {rung.head_learning_rate:g} for "
        "the head.",
        "",
    ]


def settings_page() -> str:
    """Every key of a spec, by section."""
    lines = [
        "# Settings",
        "",
        "Every setting is one YAML key, one flag and one keyword of `luthier.tune`, with the same meaning. In YAML the keys of",
        "a section stand below its name (`training:` and then `num_epochs: 5`); flag and keyword are the last word",
        "(`--num-epochs 5`, `num_epochs=5`). `null` means: not set.",
    ]
    for section in ("", *SECTIONS):
        keys = [key for key in all_keys() if key.section == section]
        title = section.capitalize().replace(".", ": ") if section else "Top level"
        lines += ["", f"## {title}", "", "| key | flag | default | meaning |", "|---|---|---|---|", *map(_setting_row, keys)]
    return "\n".join(lines) + "\n"


def _setting_row(key: Key) -> str:
    choices = f" One of: {', '.join(key.choices)}." if len(key.choices) > 1 else ""
    flag = f"`{key.flag}`" if key.path not in ("sources", "schema_version") else ""
    return _row(f"`{key.path}`", flag, f"`{write_scalar(key.default)}`", f"{key.help}.{choices}")


def checks_page() -> str:
    """Every check of the data."""
    lines = [
        "# Checks",
        "",
        "What `luthier check` looks for, and `luthier tune` before it trains. The flag decides what is done about it. Checks",
        "without a flag report, and leave out by themselves only rows that nothing can be learnt from.",
        "",
        "| check | looks for | flag | under `--fast` |",
        "|---|---|---|---|",
    ]
    checks = [CHECKS[name] for name in CHECKS]
    lines += [
        _row(
            f"`{item.name}`", item.about, f"`{flag_of(item.name)}`" if flag_of(item.name) else "", "yes" if item.fast else "no"
        )
        for item in checks
    ]
    return "\n".join(lines) + "\n"


def measures_page() -> str:
    """Every measure."""
    lines = [
        "# Measures",
        "",
        "Those that are sums over examples are resampled as sums; the others are computed anew for each resample.",
        "",
        "| measure | better is | a function of sums |",
        "|---|---|---|",
    ]
    for name in MEASURES:
        measure = MEASURES[name]
        lines.append(_row(f"`{name}`", measure.direction, "no" if isinstance(measure, IndexedMeasure) else "yes"))
    return "\n".join(lines) + "\n"


def schedules_page() -> str:
    """Every learning-rate schedule: its factor at nine moments, and its card."""
    lines = [
        "# Learning-rate schedules",
        "",
        "`--schedule NAME` or `--schedule NAME:ARGUMENT`. Each row shows how the rate goes on after the warm-up, as a share of",
        "its peak (`plateau` depends on validation). The warm-up rises evenly to the first of these values.",
    ]
    for name in SCHEDULES:
        first, _, rest = (SCHEDULES[name].__doc__ or "").partition("Example:")[0].partition("\n\n")
        schedule = build_schedule(name)
        shape = " ".join(f"{schedule(place / 8, ()):.2g}" for place in range(9))
        lines += ["", f"## {name}", "", " ".join(first.split()), "", f"    {shape}", "", " ".join(rest.split())]
    return "\n".join(lines) + "\n"


# Title -> module whose docstring is its card, and the flags that ask for it.
REGULARISERS = {
    "L1 and elastic net": ("luthier.training.penalties.l1", "`--l1`, with `--l2`"),
    "L2": ("luthier.training.penalties.l2", "`--l2`, `--weight-decay`"),
    "Towards the pre-trained weights (L2-SP)": ("luthier.training.penalties.towards_pretrained", "`--towards-pretrained`"),
    "By importance (EWC)": ("luthier.training.penalties.ewc", "`--ewc`"),
    "Dropout": ("luthier.training.dropout", "`--dropout`, `--head-dropout`"),
    "Mixup": ("luthier.training.mixing.mixup", "`--mixup`"),
    "CutMix": ("luthier.training.mixing.cutmix", "`--cutmix`"),
    "Cross-entropy and label smoothing": ("luthier.tasks.losses.cross_entropy", "`--loss cross-entropy`, `--label-smoothing`"),
    "Focal loss": ("luthier.tasks.losses.focal", "`--loss focal:GAMMA`"),
    "Balanced classes": ("luthier.training.balance", "`--class-weights balanced`, `--sampling balanced`"),
    "Averages of weights": ("luthier.training.averaging", "`--ema-decay`"),
    "Greedy soup": ("luthier.training.soup", "`--soup`"),
    "Heads": ("luthier.models.heads", "`--head-layers`, `--head-width`, `--head-activation`, `--head-pooling`"),
    "Fewer blocks": ("luthier.models.truncate", "`--keep-blocks`"),
}


def regularisers_page() -> str:
    """The card of everything that keeps a model from learning by heart."""
    lines = [
        "# Regularisers",
        "",
        "The card of each means against learning by heart: when to use it, what it costs, values to start from, and where it",
        "comes from. [Regularise](../regularise.md) says which to try first.",
    ]
    for title, (module, flags) in REGULARISERS.items():
        first, _, rest = (import_module(module).__doc__ or "").partition("\n\n")
        lines += ["", f"## {title}", "", " ".join(first.split()), "", f"- **Flags:** {flags}"]
        lines += [re.sub(r"^([^:]+): (.)", lambda m: f"- **{m[1]}:** {m[2]}", fact) for fact in _facts(rest)]
    return "\n".join(lines) + "\n"


def _facts(card: str) -> list[str]:
    return [part.strip() for part in LABEL.split(" ".join(card.split())) if part.strip()]


def optimizers_page() -> str:
    """Every optimizer: its card, and how its rates compare with those of AdamW."""
    lines = [
        "# Optimizers",
        "",
        "`--optimizer NAME` or `--optimizer NAME:ARGUMENT`. The learning rates of the methods were chosen under `adamw`. Under",
        "an optimizer that needs others they are multiplied by the factor below, and a decision says so; rates that you give",
        "(`--learning-rate`, `--head-learning-rate`) are taken as they are.",
    ]
    for name in OPTIMIZERS:
        first, _, rest = (OPTIMIZERS[name].__doc__ or "").partition("Example:")[0].partition("\n\n")
        recipe = build_recipe(name)
        factor = f"Rates: {recipe.rate_factor:g} times those of `adamw`." if recipe.rate_factor != 1 else "Rates: as given."
        lines += ["", f"## {name}", "", " ".join(first.split()), "", f"{' '.join(rest.split())} {factor}"]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def with_card(readme: str, run: Path) -> str:
    """README with the evidence card of a run folder in its place."""
    card = str(EvidenceCard(metrics=read_metrics(run / "metrics.json"))).rstrip()
    return CARD.sub(lambda _: f"\n```text\n{card}\n```\n\n", readme)


def main(arguments: Sequence[str]) -> None:
    """Write all pages; with the name of a run folder, README's card too."""
    for path, text in pages().items():
        target = ROOT / "docs" / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for run in arguments:
        readme = ROOT / "README.md"
        readme.write_text(with_card(readme.read_text(encoding="utf-8"), Path(run)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
