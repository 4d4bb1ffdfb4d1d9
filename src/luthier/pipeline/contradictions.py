"""What a spec says that cannot both be meant, or would change nothing: told before anything is read."""

from luthier.data.load.weights import split_weight
from luthier.errors import LuthierError, SpecError, raise_together
from luthier.models.settings import BoxSettings, HeadSettings, TableSettings, refuse_idle_generation, refuse_idle_head
from luthier.pipeline.general import refuse_lonely_general
from luthier.pipeline.plain_texts import refuse_target
from luthier.spec import TuneSpec
from luthier.tasks.mining import read_miner
from luthier.tasks.protocol import Contrastive, Searching, Task, has_own_head, searches_beams
from luthier.tasks.shaping import MakesViews
from luthier.training.balance import refuse_double_balance


def refuse_contradictions(spec: TuneSpec) -> None:
    """Look at the settings that depend on each other.

    Raises:
        SpecError: two of them do the same thing twice, or one is for a part that the model does not have.
    """
    refuse_idle_head(spec.model.head)
    refuse_double_balance(spec.training)
    refuse_target(spec)
    refuse_lonely_general(spec)
    weights = [source for source in spec.sources if split_weight(source)[1] is not None]
    if weights and spec.training.sampling == "balanced":
        raise SpecError(
            f"Weights of sources and balanced sampling both say how rows are drawn ({', '.join(weights)}).",
            remedy="--class-weights balanced, which weighs classes in the loss",
        )
    if spec.data.in_order and spec.data.time is not None:
        raise SpecError(
            f"--in-order takes the rows as they stand, and --time {spec.data.time} puts them in order.",
            remedy=f"leave --in-order out: --time {spec.data.time}",
        )


def _table_problems(spec: TuneSpec, task: Task) -> list[LuthierError]:
    """Settings of a table's network where there is none, and of other networks where there is one."""
    if task.modality != "table":
        return [*_idle_table_flags(spec, task), *_idle_unlabelled(spec, task)]
    problems = _idle_unlabelled(spec, task)
    if spec.model.keep_blocks is None:
        return problems
    blocks = f"--table-blocks {spec.model.keep_blocks}"
    problem = "--keep-blocks cuts a network that was found; that of a table is made with as many blocks as asked."
    return [*problems, SpecError(problem, remedy=blocks)]


def _idle_table_flags(spec: TuneSpec, task: Task) -> list[LuthierError]:
    """Settings of a table's network where there is none."""
    said = {name for name, value in TableSettings() if getattr(spec.model.table, name) != value}
    flags = [f"--table-{name.replace('_', '-')}" for name in sorted(said)]
    return [
        SpecError(f"{flag} is for tables, and {task.name} reads {task.modality}s.", remedy=f"leave {flag} out")
        for flag in flags
    ]


def _idle_unlabelled(spec: TuneSpec, task: Task) -> list[LuthierError]:
    """Rows without answers where nothing would be learnt from them."""
    if spec.data.unlabelled is None:
        return []
    path, remedy = spec.data.unlabelled, "leave --unlabelled out"
    if task.modality == "text":
        problem = f"{task.name} learns from rows with answers only; {path} would not be read."
        return [
            SpecError(problem, remedy="luthier adapt, which trains the text model itself on texts; then --model its folder")
        ]
    if task.modality != "table":
        return [SpecError(f"{task.name} learns from rows with answers only; {path} would not be read.", remedy=remedy)]
    if spec.model.name not in (None, "columns"):
        problem = f"The network of {spec.model.name} is taken as it is: nothing is pre-trained, and {path} would not be read."
        return [SpecError(problem, remedy=f"{remedy}, or leave --model out")]
    if spec.model.table.pretraining_epochs == 0:
        problem = f"--table-pretraining-epochs 0 pre-trains nothing, and {path} would not be read."
        return [SpecError(problem, remedy=f"{remedy}, or --table-pretraining-epochs out")]
    return []


def _contrastive_problems(spec: TuneSpec, task: Task) -> list[LuthierError]:
    """Settings that a loss over whole batches, or a head that is a projection, has no use for."""
    head = spec.model.head
    given = {
        "--ewc": (spec.training.ewc > 0, "measures how single examples depend on each weight", "--towards-pretrained 0.01"),
        "--head-layers": (head.layers > 1, "is for heads that are small networks", "leave it out"),
        "--head-dropout": (head.dropout > 0, "is for heads that are small networks", "--dropout, which the blocks have"),
        "--head-pooling attention": (
            head.pooling == "attention",
            "is for heads that pool by themselves",
            "--head-pooling mean",
        ),
    }
    return [
        SpecError(f"{flag} {what}; {task.name} compares the examples of a batch by projected vectors.", remedy=remedy)
        for flag, (is_given, what, remedy) in given.items()
        if is_given
    ]


def _box_problems(spec: TuneSpec, task: Task) -> list[LuthierError]:
    """Settings of boxes where there are none, and views of inputs that have none."""
    problems: list[LuthierError] = []
    if task.answer_kind != "boxes":
        said = {name for name, value in BoxSettings() if getattr(spec.model.boxes, name) != value}
        flags = [f"--boxes-{name.replace('_', '-')}" for name in sorted(said)]
        problems += [
            SpecError(f"{flag} is for boxes on pictures, and {task.name} answers with none.", remedy=f"leave {flag} out")
            for flag in flags
        ]
    if spec.training.augment != "none" and not isinstance(task, MakesViews):
        problem = f"--augment {spec.training.augment} makes other views of pictures with boxes, and {task.name} has none."
        problems.append(SpecError(problem, remedy="leave --augment out"))
    return problems


def refuse_unfit_training(spec: TuneSpec, task: Task) -> None:
    """Look at the settings of training that only some tasks know.

    Raises:
        SpecError: a setting for examples with one label, where they have something else; all such settings together.
    """
    from luthier.training.mixing import refuse_unfit_mixing
    from luthier.training.mixing.mixture import MixingSettings

    training = spec.training
    refuse_idle_generation(spec.generation, generates=task.generate is not None, task=task.name, searches=searches_beams(task))
    refuse_unfit_mixing(MixingSettings(mixup=training.mixup, cutmix=training.cutmix), task.modality)
    pooling = spec.model.head.pooling
    problems = [*_table_problems(spec, task), *_box_problems(spec, task)]
    for flag, value, modality in (
        ("--max-length", spec.model.max_length, "text"),
        ("--max-seconds", spec.model.max_seconds, "audio"),
    ):
        if value is not None and task.modality in {"text", "audio"} - {modality}:
            problem = f"{flag} {value:g} is for {modality}, and the data are {task.modality}."
            problems.append(SpecError(problem, remedy=f"leave {flag} out"))
    if has_own_head(task) and spec.model.head != HeadSettings():
        problem = f"{task.name} keeps the head of the pre-trained network; another one was described."
        problems.append(SpecError(problem, remedy="leave --head-layers, --head-dropout and the like out"))
    if read_miner(training.hard_negatives) is not None and not isinstance(task, Searching):
        problem = f"--hard-negatives looks for documents, and {task.name} does not search any."
        problems.append(SpecError(problem, remedy="leave --hard-negatives out"))
    if isinstance(task, Contrastive):
        problems += _contrastive_problems(spec, task)
    elif task.probe is None and pooling != "auto":
        problem = f"The head of {task.name} stands on every hidden state: nothing is pooled, and '{pooling}' was asked for."
        problems.append(SpecError(problem, remedy="leave --head-pooling out"))
    if task.has_classes:
        raise_together(problems)
        return
    given = {
        "--class-weights": training.class_weights != "none",
        "--sampling balanced": training.sampling == "balanced",
        "--label-smoothing": training.label_smoothing > 0 and not has_own_head(task),
        "--mixup": training.mixup > 0,
        "--cutmix": training.cutmix > 0,
        f"--loss {training.loss}": training.loss != "auto",
    }
    problems += [
        SpecError(f"{flag} is for examples with one label each; {task.name} has none such.", remedy=f"leave {flag} out")
        for flag, is_given in given.items()
        if is_given
    ]
    raise_together(problems)
