"""The verbs as Python functions: the spec's keywords in, records out. Each is one line over the pipeline."""

from collections.abc import Sequence
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from luthier.core.keys import Key
from luthier.core.progress import Observer
from luthier.errors import UsageError
from luthier.spec import Given, TuneSpec, build_spec, search_keys, settable_keys, spec_of

if TYPE_CHECKING:
    from luthier.models.backbone import Backbone
    from luthier.package.model import Model
    from luthier.pipeline import CheckResult, Run, Search
    from luthier.pipeline.search_spec import SearchSpec

Sources = str | Path | Sequence[str | Path] | TuneSpec


def tune(
    sources: Sources,
    *,
    observer: Observer | None = None,
    backbone: "Backbone | None" = None,
    cluster: str | None = None,
    workers: int | None = None,
    **settings: object,
) -> "Run":
    """Tune a pre-trained model on data, measure it against what needs no tuning, and keep everything in a run folder.

    Args:
        sources: Files and folders with the data, or a whole spec (`luthier.load_spec`).
        observer: Is told what happens; nobody by default.
        backbone: A pre-trained model of one's own, instead of `model`.
        cluster: Train on a Ray cluster: `auto` for one of one's own on this machine, or HOST:PORT.
        workers: Processes of the cluster that share every step; by default one on each node.
        settings: The keys of the spec by their last word, as the flags of `luthier tune --help`: `target="category"`,
            `num_epochs=3`, `model="minilm"`.

    Returns:
        The run: `card` (print it), `verdict`, `metrics`, `folder`, `model_path`.

    Raises:
        LuthierError: something is wrong with the settings, the data or the model; each subclass says what.
    """
    from luthier import pipeline
    from luthier.core.process import wait_without_spinning

    wait_without_spinning()
    spec = _spec_from(sources, settings)
    if cluster is not None:
        from luthier.cluster.training import tune_on_cluster

        _refuse_backbone(backbone)
        return tune_on_cluster(spec, cluster, workers=workers, observer=observer)
    return pipeline.tune(spec, observer=observer, backbone=backbone)


def adapt(sources: Sources, *, observer: Observer | None = None, **settings: object) -> "Run":
    """Train a pre-trained language model further on texts without labels, and measure what it has learnt and forgotten.

    The task follows from the model: hidden words of a masked one, the next token of a causal one. What comes out is a plain
    Hugging Face folder: `tune(..., model=run.model_path)` goes on from it with labels.

    Args:
        sources: A text file, a folder of them, or a table with a column of texts; or a whole spec.
        observer: Is told what happens; nobody by default.
        settings: The keys of the spec by their last word, as for `tune`; `model` is needed, `general` are texts that tell what
            is forgotten.

    Returns:
        The run, as of `tune`.

    Raises:
        LuthierError: something is wrong with the settings, the texts or the model; each subclass says what.
    """
    from luthier import pipeline
    from luthier.core.process import wait_without_spinning
    from luthier.pipeline.adaptation import adaptation_of

    wait_without_spinning()
    return pipeline.tune(adaptation_of(_spec_from(sources, settings))[0], observer=observer)


def resume(
    folder: str | Path,
    *,
    observer: Observer | None = None,
    backbone: "Backbone | None" = None,
    cluster: str | None = None,
    workers: int | None = None,
) -> "Run":
    """Go on with a run that was stopped or killed, to the same weights as if it had never been interrupted.

    What was finished is not done again: rungs that came to their end, and the steps before the newest state that is whole.
    Damaged states are named and passed over.

    Args:
        folder: The run folder.
        observer: Is told what happens; nobody by default.
        backbone: The same pre-trained model of one's own as before, if there was one.
        cluster, workers: As for `tune`; a run need not go on where it began.

    Raises:
        UsageError: there is no run, it is finished, or another process is at work in it.
        DataError: the data have changed since the run began.
    """
    from luthier import pipeline
    from luthier.core.process import wait_without_spinning

    wait_without_spinning()
    if cluster is not None:
        from luthier.cluster.training import resume_on_cluster

        _refuse_backbone(backbone)
        return resume_on_cluster(Path(folder), cluster, workers=workers, observer=observer)
    return pipeline.resume(Path(folder), observer=observer, backbone=backbone)


def _refuse_backbone(backbone: "Backbone | None") -> None:
    if backbone is not None:
        raise UsageError(
            "A backbone of one's own cannot be sent to a cluster: the workers load the model by its name or folder.",
            remedy="save it as a folder and give model=FOLDER, or leave cluster out",
        )


def search(
    sources: str | Path | Sequence[str | Path] = (),
    *,
    resume: str | Path | None = None,
    observer: Observer | None = None,
    cluster: str | None = None,
    workers: int | None = None,
    **settings: object,
) -> "Search":
    """Try many settings in one study, and train the best of them once more as a whole run.

    Any keyword may be a space: `learning_rate={"log": [1e-5, 1e-3]}`, `schedule=["linear", "cosine"]`. With none, the usual
    settings of the methods that fit the machine vary.

    Args:
        sources: Files and folders with the data, or one YAML file of a search.
        resume: The folder of a search that was stopped or killed, or that others are at work on: then no sources.
        observer: Is told what happens; nobody by default.
        cluster: Take trials on a Ray cluster: `auto` for one of its own on this machine, or HOST:PORT.
        workers: How many take trials there at the same time; by default one on each node.
        settings: The keys of the spec by their last word, and those of the section `search`: `trials=50`, `sampler="gp"`.

    Returns:
        The search: `run` (the final one, with its `card`), `record` (all trials, importance, optimism), `spec`, `folder`.

    Raises:
        LuthierError: something is wrong with the settings, the data or the model; each subclass says what.
    """
    from luthier.core.process import wait_without_spinning
    from luthier.pipeline.search_spec import search_file, search_of
    from luthier.pipeline.searching import resumed_search

    wait_without_spinning()
    given = [Given(written=name, value=value, style="keyword") for name, value in settings.items()]
    if resume is not None:
        asked = resumed_search(Path(resume), search_of(given).settings)
        return _search(asked, observer, cluster, workers, resumes=True)
    names = [sources] if isinstance(sources, str | Path) else list(sources)
    specs = [Path(name) for name in names if str(name).endswith((".yaml", ".yml"))]
    first, where = search_file(specs[0]) if specs else ([], None)
    data = [str(name) for name in names if Path(name) not in specs]
    first += [Given(written="sources", value=data)] if data else []
    return _search(search_of([*first, *given], where=where), observer, cluster, workers, resumes=False)


def _search(
    asked: "SearchSpec", observer: Observer | None, cluster: str | None, workers: int | None, *, resumes: bool
) -> "Search":
    from luthier import pipeline

    if cluster is None:
        return pipeline.search(asked, observer=observer, resumes=resumes)
    from luthier.cluster.searching import search_on_cluster

    return search_on_cluster(asked, cluster, workers=workers, observer=observer, resumes=resumes)


def check(sources: Sources, *, fast: bool = False, observer: Observer | None = None, **settings: object) -> "CheckResult":
    """Look for what is wrong with data before anything is trained on it.

    Args:
        sources: Files and folders with the data, or a whole spec.
        fast: Leave out the checks that take long on a large table.
        observer: Is told what happens; nobody by default.
        settings: The keys of the spec by their last word, as for `tune`.
    """
    from luthier import pipeline

    return pipeline.check(_spec_from(sources, settings), fast=fast, observer=observer)


def load_model(path: str | Path, *, device: str = "auto", allow: Sequence[str] = ()) -> "Model":
    """A tuned model, ready to predict.

    Args:
        path: A run folder, or the model folder in it.
        device: auto, cpu, cuda, cuda:N or mps.
        allow: Packages whose functions may be called to build a network that is no Hugging Face class.

    Raises:
        ModelError: there is no model, or it is damaged, or from a newer Luthier.
    """
    from luthier.package.model import load_model as load

    return load(path, device=device, allow=allow)


def load_openai_job(path: str | Path, *, model: str | None = None) -> TuneSpec:
    """The spec that a fine-tuning job means which was written for OpenAI's service; `luthier.tune` takes it.

    Args:
        path: The job: the JSON body of the request that creates it, with paths of files instead of their ids.
        model: Folder or name of a causal language model; OpenAI's own cannot be had.

    Raises:
        SpecError: the job says something that does not hold here; all such things together.
    """
    from luthier.pipeline.openai_job import read_openai_job

    chosen = [] if model is None else [Given(written="model.name", value=model)]
    return spec_of([*read_openai_job(Path(path), model=model).given, *chosen])


def _spec_from(sources: Sources, settings: dict[str, object]) -> TuneSpec:
    if isinstance(sources, TuneSpec):
        return spec_of([Given(written=name, value=value, style="keyword") for name, value in settings.items()], base=sources)
    return build_spec(sources, **settings)


def _signature(*own: Parameter, keys: Sequence[Key] | None = None) -> Signature:
    # So that help() and the completion of notebooks show every keyword.
    keywords = [
        Parameter(key.keyword, Parameter.KEYWORD_ONLY, default=key.default, annotation=_shown(key))
        for key in keys or settable_keys()
    ]
    return Signature([Parameter("sources", Parameter.POSITIONAL_OR_KEYWORD), *own, *keywords])


def _shown(key: Key) -> Any:
    words = key.annotation | Literal[key.words] if key.words else key.annotation
    return words | None if key.optional else words


_OBSERVER = Parameter("observer", Parameter.KEYWORD_ONLY, default=None)
_BACKBONE = Parameter("backbone", Parameter.KEYWORD_ONLY, default=None)
_RESUME = Parameter("resume", Parameter.KEYWORD_ONLY, default=None)
_FAST = Parameter("fast", Parameter.KEYWORD_ONLY, default=False)
_CLUSTER = Parameter("cluster", Parameter.KEYWORD_ONLY, default=None)
_WORKERS = Parameter("workers", Parameter.KEYWORD_ONLY, default=None)
tune.__signature__ = _signature(_OBSERVER, _BACKBONE, _CLUSTER, _WORKERS)  # type: ignore[attr-defined]
adapt.__signature__ = _signature(_OBSERVER)  # type: ignore[attr-defined]
search.__signature__ = _signature(_RESUME, _OBSERVER, _CLUSTER, _WORKERS, keys=(*search_keys(), *settable_keys()))  # type: ignore[attr-defined]
check.__signature__ = _signature(_FAST, _OBSERVER)  # type: ignore[attr-defined]
