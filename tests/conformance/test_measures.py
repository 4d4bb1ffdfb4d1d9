"""Every measure keeps the contract that intervals and tests rely on. A new measure adds three lines here."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from luthier.evaluation.bootstrap import score_of, unit_sums
from luthier.evaluation.boxes import ANSWER_TYPE, box_predictions
from luthier.evaluation.intervals import score
from luthier.evaluation.label_sets import label_set_predictions
from luthier.evaluation.language_predictions import language_predictions
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.measures.answer_text import ANSWERS
from luthier.evaluation.numbers import number_predictions
from luthier.evaluation.predictions import classification_predictions, with_ids
from luthier.evaluation.ranked_predictions import Judgements, ranked_predictions
from luthier.evaluation.records import IndexedMeasure, Predictions
from luthier.evaluation.text_predictions import text_predictions

LABELS = ["ant", "bee", "cat"]


def made_predictions(num_rows: int, *, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, 3, num_rows)
    logits = generator.normal(size=(num_rows, 3)) + 1.5 * np.eye(3)[targets]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return classification_predictions(
        example_ids=[f"row {place}" for place in range(num_rows)],
        targets=[LABELS[target] for target in targets],
        probs=probs,
        labels=LABELS,
    )


def weighted(predictions: Predictions, name: str, weights: np.ndarray) -> float:
    units = np.arange(predictions.table.num_rows)
    return score_of(predictions, MEASURES[name], units).values(weights[:, None].astype(float)).item()


def made_sets(num_rows: int, *, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    targets = generator.random((num_rows, 3)) < (0.5, 0.3, 0.1)
    logits = generator.normal(size=(num_rows, 3)) + 2 * targets - 1
    return label_set_predictions(
        example_ids=[f"row {place}" for place in range(num_rows)],
        targets=[[LABELS[place] for place in np.flatnonzero(row)] for row in targets],
        probs=1 / (1 + np.exp(-logits)),
        labels=LABELS,
    )


def made_numbers(num_rows: int, *, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    targets = generator.normal(50, 10, num_rows).round(1)
    return number_predictions(
        example_ids=[f"row {place}" for place in range(num_rows)],
        targets=targets,
        answers=targets + generator.normal(0, 6, num_rows),
    )


def made_tags(num_rows: int, *, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    targets = [generator.choice(["O", "B-ant", "I-ant", "B-bee"], size).tolist() for size in generator.integers(1, 9, num_rows)]
    answers = [[tag if generator.random() < 0.7 else "O" for tag in tags] for tags in targets]
    ids = [f"row {place}" for place in range(num_rows)]
    columns = {"example_id": ids, "group": ids, "target": targets, "prediction": answers}
    return Predictions(table=pa.table(columns), answer_kind="entities")


class MeasureConformance:
    name = ""

    def made(self, num_rows: int, *, seed: int = 0) -> Predictions:
        return made_predictions(num_rows, seed=seed)

    def perfect(self, said: Predictions) -> Predictions:
        targets = said.table["target"].to_pylist()
        return classification_predictions(
            example_ids=said.table["example_id"].to_pylist(),
            targets=targets,
            probs=np.eye(3)[[LABELS.index(target) for target in targets]],
            labels=LABELS,
        )

    def test_its_name_is_its_family_name(self) -> None:
        assert MEASURES[self.name].name == self.name

    def test_its_direction_is_known(self) -> None:
        assert MEASURES[self.name].direction in ("higher", "lower")

    def test_the_order_of_examples_does_not_matter(self) -> None:
        said = self.made(40)
        shuffled = replace(said, table=said.table.take(np.random.default_rng(1).permutation(40)))
        assert weighted(said, self.name, np.ones(40)) == pytest.approx(weighted(shuffled, self.name, np.ones(40)))

    def test_weighting_an_example_is_repeating_it(self) -> None:
        said = self.made(30)
        counts = np.random.default_rng(2).integers(0, 4, 30)
        rows = np.repeat(np.arange(30), counts)
        repeated = replace(said, table=said.table.take(rows))
        assert weighted(said, self.name, counts) == pytest.approx(weighted(repeated, self.name, np.ones(len(rows))))

    def test_a_better_model_scores_better(self) -> None:
        said = self.made(60)
        gain = weighted(self.perfect(said), self.name, np.ones(60)) - weighted(said, self.name, np.ones(60))
        # Three of three labels are always among the first three: top-3 accuracy cannot tell these models apart.
        assert gain == 0 if self.name == "top_3_accuracy" else gain * (1 if self.is_higher_better() else -1) > 0

    def test_the_interval_holds_the_value(self) -> None:
        interval = score(self.made(60), [MEASURES[self.name]], samples=200)[self.name]
        assert interval.low <= interval.value <= interval.high

    def test_statistics_come_one_row_per_example(self) -> None:
        measure = MEASURES[self.name]
        if not isinstance(measure, IndexedMeasure):
            said = self.made(25)
            assert len(measure.stats(said)) == 25
            assert np.isfinite(unit_sums(said, measure, np.zeros(25, dtype=int)).toarray()).all()

    def is_higher_better(self) -> bool:
        return MEASURES[self.name].direction == "higher"


class TestAccuracy(MeasureConformance):
    name = "accuracy"


class TestTop3Accuracy(MeasureConformance):
    name = "top_3_accuracy"


class TestMacroF1(MeasureConformance):
    name = "macro_f1"


class TestMacroPrecision(MeasureConformance):
    name = "macro_precision"


class TestMacroRecall(MeasureConformance):
    name = "macro_recall"


class TestWeightedF1(MeasureConformance):
    name = "weighted_f1"


class TestMcc(MeasureConformance):
    name = "mcc"


class TestLogLoss(MeasureConformance):
    name = "log_loss"


class TestBrier(MeasureConformance):
    name = "brier"


class TestRocAuc(MeasureConformance):
    name = "roc_auc"


class SetConformance(MeasureConformance):
    def made(self, num_rows: int, *, seed: int = 0) -> Predictions:
        return made_sets(num_rows, seed=seed)

    def perfect(self, said: Predictions) -> Predictions:
        targets = said.table["target"].to_pylist()
        return label_set_predictions(
            example_ids=said.table["example_id"].to_pylist(),
            targets=targets,
            probs=np.array([[float(label in labels) for label in LABELS] for labels in targets]),
            labels=LABELS,
        )


class TestAveragePrecision(MeasureConformance):
    name = "average_precision"


class TestMicroF1(SetConformance):
    name = "micro_f1"


class TestMicroPrecision(SetConformance):
    name = "micro_precision"


class TestMicroRecall(SetConformance):
    name = "micro_recall"


class TestSubsetAccuracy(SetConformance):
    name = "subset_accuracy"


class TestMeanAveragePrecision(SetConformance):
    name = "mean_average_precision"


class TestMacroF1OfSets(SetConformance):
    name = "macro_f1"


class NumberConformance(MeasureConformance):
    def made(self, num_rows: int, *, seed: int = 0) -> Predictions:
        return made_numbers(num_rows, seed=seed)

    def perfect(self, said: Predictions) -> Predictions:
        targets = said.table["target"].to_numpy()
        return number_predictions(example_ids=said.table["example_id"].to_pylist(), targets=targets, answers=targets)


class TestMae(NumberConformance):
    name = "mae"


class TestRmse(NumberConformance):
    name = "rmse"


class TestR2(NumberConformance):
    name = "r2"


class TestPearson(NumberConformance):
    name = "pearson"


class TestSpearman(NumberConformance):
    name = "spearman"


class TagConformance(MeasureConformance):
    def made(self, num_rows: int, *, seed: int = 0) -> Predictions:
        return made_tags(num_rows, seed=seed)

    def perfect(self, said: Predictions) -> Predictions:
        return replace(said, table=said.table.set_column(3, "prediction", said.table["target"]))


class TestEntityF1(TagConformance):
    name = "entity_f1"


class TestEntityPrecision(TagConformance):
    name = "entity_precision"


class TestEntityRecall(TagConformance):
    name = "entity_recall"


class TestTokenAccuracy(TagConformance):
    name = "token_accuracy"


class TextConformance(MeasureConformance):
    def made(self, num_rows: int, *, seed: int = 0) -> Predictions:
        generator = np.random.default_rng(seed)
        words = np.array(["one", "two", "three", "for"])
        targets = [" ".join(generator.choice(words, generator.integers(1, 6))) for _ in range(num_rows)]
        heard = [" ".join(generator.choice(words, 2)) if generator.random() < 0.4 else target for target in targets]
        ids = [f"row {place}" for place in range(num_rows)]
        return text_predictions(example_ids=ids, targets=targets, predictions=heard)

    def perfect(self, said: Predictions) -> Predictions:
        targets = said.table["target"].to_pylist()
        return text_predictions(example_ids=said.table["example_id"].to_pylist(), targets=targets, predictions=targets)


class TestWer(TextConformance):
    name = "wer"


class TestCer(TextConformance):
    name = "cer"


class TestBleu(TextConformance):
    name = "bleu"


class TestChrf(TextConformance):
    name = "chrf"


class TestRouge1(TextConformance):
    name = "rouge_1"


class TestRouge2(TextConformance):
    name = "rouge_2"


class TestRougeL(TextConformance):
    name = "rouge_l"


class LanguageConformance(TextConformance):
    def made(self, num_rows: int, *, seed: int = 0) -> Predictions:
        generator = np.random.default_rng(seed)
        tokens = generator.integers(1, 9, num_rows)
        return self.said(
            super().made(num_rows, seed=seed), told=np.stack([tokens * generator.gamma(2, 1, num_rows), tokens], axis=1)
        )

    def said(self, texts: Predictions, told: np.ndarray) -> Predictions:
        ids, targets, heard = (texts.table[name].to_pylist() for name in ("example_id", "target", "prediction"))
        return language_predictions(example_ids=ids, targets=targets, predictions=heard, told=told)

    def perfect(self, said: Predictions) -> Predictions:
        tokens = said.table["tokens"].to_numpy()
        return self.said(super().perfect(said), told=np.stack([np.zeros(len(tokens)), tokens], axis=1))


class TestTokenLoss(LanguageConformance):
    name = "token_loss"


class TestPerplexity(LanguageConformance):
    name = "perplexity"


class TestSameText(LanguageConformance):
    name = "same_text"


def answers_said(accepted: list[list[str]], answers: list[str]) -> Predictions:
    columns = {
        "target": pa.array([golds[0] for golds in accepted], pa.string()),
        ANSWERS: pa.array(accepted, pa.list_(pa.string())),
        "prediction": pa.array(answers, pa.string()),
    }
    return Predictions(table=with_ids([f"row {place}" for place in range(len(answers))], columns), answer_kind="answer")


class AnswerConformance(MeasureConformance):
    def made(self, num_rows: int, *, seed: int = 0) -> Predictions:
        generator = np.random.default_rng(seed)
        accepted = [[" ".join(generator.choice(LABELS, generator.integers(1, 4)))] for _ in range(num_rows)]
        answers = [golds[0] if generator.random() < 0.5 else str(generator.choice(LABELS)) for golds in accepted]
        return answers_said(accepted, answers)

    def perfect(self, said: Predictions) -> Predictions:
        accepted = said.table[ANSWERS].to_pylist()
        return answers_said(accepted, [golds[0] for golds in accepted])


class TestExactMatch(AnswerConformance):
    name = "exact_match"


class TestAnswerF1(AnswerConformance):
    name = "answer_f1"


def slots_said(targets: list[str], answers: list[str]) -> Predictions:
    columns = {"target": pa.array(targets, pa.string()), "prediction": pa.array(answers, pa.string())}
    table = with_ids([f"row {place}" for place in range(len(answers))], columns)
    return Predictions(table=table, labels=tuple(LABELS), answer_kind="slots")


class SlotConformance(MeasureConformance):
    def made(self, num_rows: int, *, seed: int = 0) -> Predictions:
        generator = np.random.default_rng(seed)

        def slots(shift: int) -> str:
            names = generator.choice(LABELS, generator.integers(0, 3), replace=False)
            return json.dumps([{"slot": str(name), "start": shift, "end": shift + 3} for name in names])

        targets = [slots(0) for _ in range(num_rows)]
        return slots_said(targets, [target if generator.random() < 0.5 else slots(1) for target in targets])

    def perfect(self, said: Predictions) -> Predictions:
        targets = said.table["target"].to_pylist()
        return slots_said(targets, targets)


class TestSpanF1(SlotConformance):
    name = "span_f1"


class TestSpanPrecision(SlotConformance):
    name = "span_precision"


class TestSpanRecall(SlotConformance):
    name = "span_recall"


class TestSpanMacroF1(SlotConformance):
    name = "span_macro_f1"


def made_rankings(num_rows: int, *, seed: int = 0) -> Predictions:
    """Rankings of 150 documents, of which 100 are kept and up to ten are relevant."""
    generator = np.random.default_rng(seed)
    places = np.stack([generator.permutation(150)[:100] for _ in range(num_rows)])
    wanted = [generator.choice(150, size, replace=False).tolist() for size in generator.integers(1, 11, num_rows)]
    grades = [[float(place in row) for place in found] for row, found in zip(wanted, places.tolist(), strict=True)]
    return ranked_predictions(
        example_ids=[f"row {place}" for place in range(num_rows)],
        targets=[str(row) for row in wanted],
        places=places,
        scores=-np.sort(-generator.random(places.shape), axis=1),
        judged=Judgements(grades=grades, ideal=[[1.0] * len(row) for row in wanted], num_relevant=[len(row) for row in wanted]),
        names=[str(place) for place in range(150)],
    )


class RankingConformance(MeasureConformance):
    def made(self, num_rows: int, *, seed: int = 0) -> Predictions:
        return made_rankings(num_rows, seed=seed)

    def perfect(self, said: Predictions) -> Predictions:
        place = said.table.column_names.index("grades")
        return replace(said, table=said.table.set_column(place, "grades", said.table["ideal"]))


class TestNdcgAt10(RankingConformance):
    name = "ndcg_at_10"


class TestRecallAt10(RankingConformance):
    name = "recall_at_10"


class TestRecallAt100(RankingConformance):
    name = "recall_at_100"


class TestMrrAt10(RankingConformance):
    name = "mrr_at_10"


class TestExpectedCalibrationError(MeasureConformance):
    name = "expected_calibration_error"


def made_boxes(num_rows: int, *, seed: int = 0) -> tuple[list[list[dict[str, Any]]], list[list[dict[str, Any]]]]:
    """Boxes of each picture, and answers: most of them near a box, some where there is none."""
    generator = np.random.default_rng(seed)
    targets, answers = [], []
    for _ in range(num_rows):
        places = generator.uniform([0, 0, 10, 10], [60, 60, 30, 30], (int(generator.integers(1, 4)), 4))
        boxes = [dict(zip(("x", "y", "width", "height"), place, strict=True)) for place in places.tolist()]
        labels = generator.choice(LABELS, len(boxes)).tolist()
        targets.append(
            [{"label": label, "crowd": False, "difficult": False, **box} for label, box in zip(labels, boxes, strict=True)]
        )
        moved = [{name: value + generator.normal(0, 2) for name, value in box.items()} for box in boxes]
        moved[0] = {**moved[0], "x": 90.0}
        answers.append([{"label": label, "score": generator.random(), **box} for label, box in zip(labels, moved, strict=True)])
    return targets, answers


class BoxConformance(MeasureConformance):
    def made(self, num_rows: int, *, seed: int = 0) -> Predictions:
        targets, answers = made_boxes(num_rows, seed=seed)
        return box_predictions(
            example_ids=[f"row {place}" for place in range(num_rows)],
            targets=targets,
            answers=answers,
            sizes=[(100, 100)] * num_rows,
            shown_score=0.3,
            labels=LABELS,
        )

    def perfect(self, said: Predictions) -> Predictions:
        right = [[{**box, "score": 0.9} for box in row] for row in said.table["target"].to_pylist()]
        place = said.table.column_names.index("prediction")
        return replace(said, table=said.table.set_column(place, "prediction", pa.array(right, ANSWER_TYPE)))


class TestBoxMap(BoxConformance):
    name = "box_map"


class TestBoxMap50(BoxConformance):
    name = "box_map50"


class TestBoxMap75(BoxConformance):
    name = "box_map75"


def judges(kind: type[MeasureConformance]) -> set[str]:
    return {name for judge in kind.__subclasses__() for name in {judge.name, *judges(judge)}} - {""}


def test_every_measure_is_judged() -> None:
    assert judges(MeasureConformance) == set(MEASURES)
