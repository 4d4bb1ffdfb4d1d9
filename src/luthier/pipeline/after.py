"""Measure after: save the model, load it again, and score test once with what was saved; then package and report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from luthier.core.decision import Decision
from luthier.core.manifest import write_manifest
from luthier.core.progress import Observer
from luthier.core.seat import taken_seat
from luthier.core.storage import write_json
from luthier.data.infer import FLAGGED
from luthier.data.mixture import named_sources
from luthier.evaluation.card import EvidenceCard, RunFacts, build_card
from luthier.evaluation.display import format_score, measure_title
from luthier.evaluation.predictions import write_predictions
from luthier.evaluation.records import Predictions
from luthier.models.own import package_of
from luthier.package.card import write_card
from luthier.package.folder import ModelDescription, save_model, write_description
from luthier.package.model import Model, load_model
from luthier.pipeline.before import Before, predictions_of
from luthier.pipeline.choose import Chosen
from luthier.pipeline.column_importance import column_importance
from luthier.pipeline.description import describe_model
from luthier.pipeline.examples import example_texts
from luthier.pipeline.plain_texts import tells_texts
from luthier.pipeline.prepare import Prepared
from luthier.pipeline.records import Run
from luthier.pipeline.retained import Retained, measure_retained
from luthier.pipeline.rows import training_rows
from luthier.pipeline.run_folder import CHECKPOINTS, RunFolder, describe_data
from luthier.pipeline.together import share_run, working_alone
from luthier.pipeline.train import fit_settings, has_probe
from luthier.report import wanted_examples, write_report
from luthier.spec import TuneSpec
from luthier.tasks.answers.label import ALARM
from luthier.tasks.protocol import Task, has_own_head
from luthier.tasks.shaping import SettlesAnswers
from luthier.training.ladder import RungResult, Workbench
from luthier.training.loop import predict_rows
from luthier.training.model import TunedModel

AS_IT_COMES = ("Pre-trained, untuned", "The pre-trained network as it comes, with its own head: nothing is trained.")


def measure_after(
    spec: TuneSpec,
    prepared: Prepared,
    chosen: Chosen,
    before: Before,
    results: Sequence[RungResult],
    *,
    model: TunedModel,
    folder: RunFolder,
    bench: Workbench,
) -> Run:
    """Package the model, score it on test, decide, write every record, the report and the manifest.

    Of several processes the main one does all of it; the others wait for what it has found.
    """
    if not bench.processes.is_main:
        return share_run(None, bench.processes)
    observer = bench.observer
    observer.stage("Measure after")
    winner = [result for result in results if result.kept][-1]
    model_path = folder.path / "model"
    description = describe_model(prepared, chosen, model)
    save_model(model_path, model, chosen.processor, description, companions=chosen.source.folder)
    saved = _saved(chosen, folder)
    tuned = _predict_test(prepared, chosen, saved)
    test = {**before.test, **_first_rung_on_test(spec, prepared, chosen, results, model), "tuned": tuned}
    if winner.rung.name == "probe" and has_probe(spec, chosen.task):
        del test["probe"]
    with working_alone(chosen):
        importance = column_importance(prepared, chosen, saved, seed=spec.training.seed)
        retained = _retained(spec, prepared, chosen, results[0], model, saved=saved)
    if retained.about:
        observer.note(retained.about)
    card = _card(spec, chosen, before, results, winner, test, importance=importance, retained=retained)
    description = _with_alarm(model_path, description, card)
    write_json(folder.path / "metrics.json", card.metrics)
    write_predictions(folder.path / "predictions.parquet", tuned, others={**before.test, **test})
    write_card(model_path, card.metrics, description, data=describe_data(prepared.dataset), method=winner.rung.name)

    observer.stage("Report", str(folder.path / "report.html"))
    examples = example_texts(spec, prepared, folder.path, wanted_examples(folder.path))
    write_report(folder.path, title=prepared.dataset.name, examples=examples)
    # In this order: a run that is killed in between is whole, and one that is killed before goes on from its states.
    write_manifest(folder.path, leave_out=[CHECKPOINTS])
    folder.shelf.clear()
    return share_run(Run(folder=folder.path, model_path=model_path, card=card), bench.processes)


def _saved(chosen: Chosen, folder: RunFolder) -> Model:
    """The model as it was saved: what is served is what is measured."""
    builder = chosen.backbone.builder
    return load_model(folder.path, device=chosen.device, allow=[package_of(builder)] if builder else [])


def _predict_test(prepared: Prepared, chosen: Chosen, saved: Model) -> Predictions:
    """Its predictions on test."""
    with working_alone(chosen):
        decoded = saved.decoded(chosen.inputs, chosen.scored_units("test"))
    return predictions_of(prepared, chosen, "test", decoded)


def _first_rung_on_test(
    spec: TuneSpec, prepared: Prepared, chosen: Chosen, results: Sequence[RungResult], model: TunedModel
) -> dict[str, Predictions]:
    """Where no probe could be fitted, the head that was trained on the frozen model takes its place, if it was not kept."""
    first = results[0]
    if has_own_head(chosen.task):
        return {"pretrained": _pretrained_on_test(prepared, chosen, first, model)}
    if chosen.task.probe is not None or sum(result.kept for result in results) < 2:
        return {}
    with working_alone(chosen):
        model.restore(first.weights, boundary=first.rung.boundary, moves=first.rung.moves)
        decoded = predict_rows(model, training_rows(chosen, chosen.scored_units("test"), None), fit_settings(spec, chosen))
    assert decoded is not None
    return {"probe": predictions_of(prepared, chosen, "test", decoded)}


def _pretrained_on_test(prepared: Prepared, chosen: Chosen, first: RungResult, model: TunedModel) -> Predictions:
    """What the network answers as it comes, asked in the same way as the tuned one."""
    with working_alone(chosen):
        return _predict_test(prepared, chosen, _as_it_came(prepared, chosen, first, model))


def _as_it_came(prepared: Prepared, chosen: Chosen, first: RungResult, model: TunedModel) -> Model:
    """The pre-trained network, to be asked like the tuned one."""
    model.restore(first.weights, boundary=first.rung.boundary, moves=first.rung.moves)
    return Model(model, chosen.processor, describe_model(prepared, chosen, model), device=chosen.device)


def _retained(
    spec: TuneSpec, prepared: Prepared, chosen: Chosen, first: RungResult, model: TunedModel, *, saved: Model
) -> Retained:
    """How well texts outside of the domain are told before and after, where a model is adapted to texts."""
    if not tells_texts(prepared.task.name):
        return Retained()
    came = _as_it_came(prepared, chosen, first, model)
    return measure_retained(spec, prepared.task, chosen.state, prepared.general, before=came, after=saved)


def _card(
    spec: TuneSpec,
    chosen: Chosen,
    before: Before,
    results: Sequence[RungResult],
    winner: RungResult,
    test: Mapping[str, Predictions],
    *,
    importance: Mapping[str, float],
    retained: Retained,
) -> EvidenceCard:
    task = chosen.task
    absent = dict(task.absent)
    cost = dict(before.cost)
    tuned_cost = results[0].cost
    for result in results[1:]:
        tuned_cost = tuned_cost + result.cost
    cost["tuned"] = tuned_cost
    if before.probe is None:
        cost["pretrained" if has_own_head(task) else "probe"] = results[0].cost
    if has_own_head(task):
        absent["probe"] = "the pre-trained model brings its own head, and no new one is fitted"
    elif "probe" not in test:
        absent["probe"] = "the model kept is the probe: only a new head on the pre-trained model"
    facts = RunFacts(
        task=task.name,
        absent={name: reason for name, reason in absent.items() if name not in test},
        described=_described(task),
        cost=cost,
        seeds=(spec.training.seed,),
        validation={results[0].rung.name: results[0].score, "tuned": winner.score},
        steers_by=task.steers_by,
        validation_predictions=winner.predictions,
        importance=importance,
        sources=_sources(chosen),
        retained=retained.scores,
        retained_about=retained.about,
        changes=retained.changes,
    )
    return build_card(test, facts, measures=task.measures, settings=spec.evaluation, seed=spec.training.seed)


def _with_alarm(model_path: Path, description: ModelDescription, card: EvidenceCard) -> ModelDescription:
    """What the folder says of the model, with the threshold that costs asked for: what is served answers by it."""
    alarms = card.metrics.alarms
    if not alarms:
        return description
    alarm = {name: alarms[name] for name in ("positive", "threshold")}
    state = replace(description.state, values={**description.state.values, ALARM: alarm})
    said = replace(description, state=state)
    write_description(model_path, said)
    return said


def _sources(chosen: Chosen) -> Sequence[str]:
    """The source of each test row, where several are mixed."""
    if chosen.mixture is None:
        return ()
    return named_sources(chosen.mixture, chosen.mixture.source_of(chosen.table.take(chosen.parts["test"])))


def _described(task: Task) -> dict[str, tuple[str, str]]:
    """What the models of the card are called and do, where that is not what it is for one label."""
    described = {baseline.name: (baseline.title, baseline.about) for baseline in task.baselines if baseline.about}
    return {"pretrained": AS_IT_COMES, **described} if has_own_head(task) else described


def settle_answers(
    spec: TuneSpec, chosen: Chosen, results: Sequence[RungResult], *, observer: Observer
) -> tuple[Chosen, list[Decision[Any]]]:
    """What the answers to validation decide about answers; most tasks leave nothing to decide."""
    if not isinstance(chosen.task, SettlesAnswers):
        return chosen, []
    winner = [result for result in results if result.kept][-1]
    state, decisions = chosen.task.settle_answers(chosen.state, winner.predictions, spec.model)
    for decision in decisions:
        observer.decided(decision)
    return replace(chosen, state=state), decisions


def resolved_spec(spec: TuneSpec, prepared: Prepared, chosen: Chosen) -> TuneSpec:
    """The spec with every automatic value that can be fixed beforehand written out, so that it can be run again."""
    roles = prepared.dataset.schema.roles
    if roles.get("text") == roles["target"]:  # conversations: one column is both, and no flag may name it twice
        roles = {role: column for role, column in roles.items() if role != "text"}
    values: dict[str, Any] = {
        "task": prepared.task.name,
        "training.device": chosen.device if taken_seat().count == 1 else chosen.device.partition(":")[0],
        "training.precision": chosen.precision,
        "training.threads": chosen.threads,
        "output.overwrite": False,
        **{f"data.{role}": roles[role] for role in FLAGGED if role in roles},
    }
    if prepared.dataset.schema.features:
        values["data.features"] = list(prepared.dataset.schema.features)
    if spec.model.name is None and chosen.source.folder is not None:
        values["model.name"] = chosen.source.name
    if chosen.source.revision and not spec.model.revision:
        values["model.revision"] = chosen.source.revision
    for decision in chosen.decisions:
        if decision.name in ("max_length", "max_seconds"):
            values[f"model.{decision.name}"] = decision.value
    return spec.with_values(values)


def ladder_decision(results: Sequence[RungResult], measure: str, method: str, *, observer: Observer) -> Decision[str]:
    """Which rung was kept, and what the others gave."""
    winner = [result for result in results if result.kept][-1]
    evidence: Mapping[str, Any] = {result.rung.name: {measure: result.score, "reason": result.reason} for result in results}
    score = f"{measure_title(measure)} {format_score(measure, winner.score)}"
    reason = "asked for" if method != "auto" else f"best on validation ({score}); {winner.reason}"
    decision = Decision(name="method", value=winner.rung.name, reason=reason, evidence=evidence, override="--method NAME")
    observer.decided(decision)
    return decision
