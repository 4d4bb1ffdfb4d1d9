"""What is left after `kill -9`? Runs are killed at random moments, half of them inside a save, and have to go on by themselves.

Both save after every step, which no one does in earnest: it makes it likely to be killed in the middle of a save. Each kill has
a run of its own; then the tool's own way of going on is called, once, by a new process (`luthier.resume(folder)`;
`trainer.train(resume_from_checkpoint=True)`), and what it ends with is compared with a run that nobody disturbed: weights, test
predictions and scores to the bit, and a journal that tells of every step once. Trainer is killed after its first complete
checkpoint, as before that there is nothing it could go on from. `corruptions` harms states on disk instead.
"""

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from killing import Ended, Tell, kill_at_random, run_child
from measuring import scratch_folder
from results import Bar, Benchmark, Case, Measured, Row
from runner import main

TOPICS = {
    "billing": ["invoice", "charge", "refund", "payment", "card", "bank"],
    "delivery": ["parcel", "courier", "late", "tracking", "address", "van"],
    "device": ["screen", "battery", "button", "broken", "noise", "plug"],
}
FILLERS = ["please", "the", "my", "again", "since", "monday", "and", "it", "was", "really", "so", "today", "help"]


def cases(quick: bool) -> list[Case]:
    """Ours and the peer, killed; and our states, harmed."""
    ours = {"kills": 10 if quick else 100, "seed": 0, "rows": 240}
    return [
        Case(name="luthier", function="ours", settings=ours),
        Case(name="trainer", function="peer", settings={"kills": 6 if quick else 30, "seed": 0}, is_peer=True),
        Case(name="corruptions", function="corruptions", settings={"harms": 40 if quick else 200, "seed": 0}),
    ]


def write_table(path: Path, num_rows: int, seed: int) -> Path:
    """Short texts with three labels, most of which can be told by their words."""
    generator = random.Random(seed)
    lines = ["message,topic"]
    for number in range(num_rows):
        topic = list(TOPICS)[number % 3]
        words = generator.choices(FILLERS, k=generator.randint(3, 8)) + generator.choices(TOPICS[topic], k=2)
        lines.append(f"{' '.join(generator.sample(words, len(words)))} {number},{topic}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def ours(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`luthier.tune` up the ladder with a refit, killed; then `luthier.resume`."""
    import torch

    import luthier
    from luthier.pipeline.run_folder import RunFolder
    from luthier.testing.folders import tiny_text_model
    from luthier.training import checkpoint, shelf

    torch.set_num_threads(1)
    words = [word for group in TOPICS.values() for word in group] + FILLERS
    model = tiny_text_model(scratch_folder() / "model", words=words, width=64)
    table = write_table(scratch_folder() / "tickets.csv", settings["rows"], settings["seed"])
    fixed = {"target": "topic", "model": str(model), "threads": 1, "num_epochs": 1, "refit": True, "checkpoint_seconds": 0}

    def tune(folder: Path) -> Any:
        def work(tell: Tell) -> None:
            write_state, write_spec = checkpoint.write_state, RunFolder.write_spec

            def told_state(*arguments: Any) -> None:
                tell("S")
                write_state(*arguments)
                tell("E")

            def told_spec(self: Any, spec: Any) -> None:
                write_spec(self, spec)
                tell("B")

            checkpoint.write_state = shelf.write_state = told_state  # type: ignore[attr-defined]
            RunFolder.write_spec = told_spec  # type: ignore[method-assign]
            luthier.tune(table, out=str(folder), bootstrap_samples=200, **fixed)

        return work

    def resume(folder: Path) -> Any:
        return lambda tell: luthier.resume(folder) and None

    def differences(one: Path, other: Path) -> list[str]:
        return sorted(name for name, value in facts(one).items() if facts(other)[name] != value)

    return _kill(tune, resume, differences, settings)


def facts(folder: Path) -> dict[str, Any]:
    """Everything in which a run that was killed could differ from one that was not: all but costs and times."""

    def without_cost(value: Any) -> Any:
        return {key: item for key, item in value.items() if key not in ("cost", "memory")}

    journal = [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "weights": (folder / "model" / "model.safetensors").read_bytes(),
        "predictions": (folder / "predictions.parquet").read_bytes(),
        "metrics": without_cost(json.loads((folder / "metrics.json").read_text(encoding="utf-8"))),
        "journal": [
            without_cost(event) for event in journal if event["event"] not in ("started", "resumed", "memory_predicted")
        ],
        "states": (folder / "checkpoints").exists(),
    }


def peer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """transformers' Trainer with a small BERT, saving every step and keeping two; killed, then resumed by its own means."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(settings["seed"])
    ids = torch.randint(5, 900, (160, 12), generator=generator)
    rows = [{"input_ids": row, "attention_mask": torch.ones_like(row), "labels": int(row[0]) % 3} for row in ids]

    def build(folder: Path) -> Trainer:
        torch.manual_seed(0)
        sizes = {"hidden_size": 192, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 384}
        model = BertForSequenceClassification(BertConfig(vocab_size=1000, num_labels=3, **sizes))
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=2,
            per_device_train_batch_size=16,
            save_strategy="steps",
            save_steps=1,
            save_total_limit=2,
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        return Trainer(model=model, args=arguments, train_dataset=rows)

    def train(folder: Path) -> Any:
        def work(tell: Tell) -> None:
            trainer = build(folder)
            save = trainer._save_checkpoint

            def told(*arguments: Any, **keywords: Any) -> None:
                tell("S")
                save(*arguments, **keywords)
                tell("E")
                if trainer.state.global_step == 1:
                    tell("B")

            trainer._save_checkpoint = told
            trainer.train()
            save_file(
                {name: value.contiguous() for name, value in trainer.model.state_dict().items()}, folder / "end.safetensors"
            )

        return work

    def resume(folder: Path) -> Any:
        def work(tell: Tell) -> None:
            trainer = build(folder)
            trainer.train(resume_from_checkpoint=True)
            save_file(
                {name: value.contiguous() for name, value in trainer.model.state_dict().items()}, folder / "end.safetensors"
            )

        return work

    def differences(one: Path, other: Path) -> list[str]:
        same = (one / "end.safetensors").read_bytes() == (other / "end.safetensors").read_bytes()
        return [] if same else ["weights"]

    return _kill(train, resume, differences, settings)


def _kill(begin: Any, resume: Any, differences: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Kill as often as asked, let each go on once, and count."""
    scratch = scratch_folder()
    straight: Ended = run_child(begin(scratch / "warm"), log=scratch / "warm.log")
    straight = run_child(begin(scratch / "straight"), log=scratch / "straight.log")
    assert straight.exit_code == 0, (scratch / "straight.log").read_text()
    generator = random.Random(settings["seed"])
    counts: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for number in range(settings["kills"]):
        folder, log = scratch / f"run-{number}", scratch / f"run-{number}.log"

        def afresh(tell: Tell, folder: Path = folder) -> None:
            shutil.rmtree(folder, ignore_errors=True)
            begin(folder)(tell)

        killed = kill_at_random(afresh, straight, generator, log=log, in_save=number % 2 == 0)
        counts["in_save"] += killed.in_save
        again = run_child(resume(folder), log=log)
        if again.exit_code:
            failures[(log.read_text().strip().splitlines() or ["no message"])[-1].split(":")[0]] += 1
        else:
            found = differences(scratch / "straight", folder)
            counts["resumed"] += 1
            counts["equal"] += not found
            failures.update(f"differs in {name}" for name in found)
        shutil.rmtree(folder, ignore_errors=True)
    saves = straight.saves()
    return {
        "kills": settings["kills"],
        "kills_in_save": counts["in_save"],
        "resumed": counts["resumed"],
        "equal": counts["equal"],
        "failures": dict(failures),
        "saves": len(saves),
        "share_of_time_in_saves": sum(saves) / straight.seconds_from("B"),
    }


def corruptions(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Flip bits, cut files short and remove them in the newest of two states; is it noticed, and the other one taken?"""
    import torch

    from luthier.core.progress import Quiet
    from luthier.training.checkpoint import Checkpoints

    class Heard(Quiet):
        """Counts warnings."""

        number = 0

        def note(self, message: str, *, level: str = "info") -> None:
            self.number += "is damaged and is passed over" in message

    generator, scratch = random.Random(settings["seed"]), scratch_folder()
    pristine = Checkpoints(scratch / "pristine" / "full", seconds=None, observer=Quiet())
    for step in (1, 2):
        values = {name: {"a": torch.full((2000,), float(step))} for name in ("weights", "optimizer", "best", "generators")}
        pristine.save(f"step-{step:08}", values, {"step": step, "losses": [1.0] * step})
    counts: Counter[str] = Counter()
    for number in range(settings["harms"]):
        folder = scratch / "harmed" / "full"
        shutil.copytree(pristine.folder, folder)
        victim = generator.choice(sorted((folder / "step-00000002").iterdir()))
        kind = ("flipped bit", "flipped bit", "cut short", "missing")[number % 4]
        _harm(victim, kind, generator)
        heard = Heard()
        saved = Checkpoints(folder, seconds=None, observer=heard).newest()
        noticed = heard.number == 1 and saved is not None and saved.state["step"] == 1
        counts[kind] += 1
        counts[f"{kind}, noticed"] += noticed
        counts["noticed"] += noticed
        shutil.rmtree(folder.parent)
    return {"harms": settings["harms"], **counts}


def _harm(path: Path, kind: str, generator: random.Random) -> None:
    if kind == "missing":
        path.unlink()
    elif kind == "cut short":
        os.truncate(path, generator.randrange(path.stat().st_size))
    else:
        content = bytearray(path.read_bytes())
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(content)


def bars(measured: Measured) -> list[Bar]:
    """The promises: all of them."""
    found = []
    for name, is_promised in (("luthier", True), ("trainer", False)):
        last = measured[name][-1] if name in measured else None
        for what, question in (("resumed", "goes on by itself"), ("equal", "and ends with the same bits")):
            found.append(_all_of(f"{name}: {question}", last, what, "kills", is_promised=is_promised))
    last = measured["corruptions"][-1] if "corruptions" in measured else None
    return [*found, _all_of("harmed states: noticed, named, the one before taken", last, "noticed", "harms", is_promised=True)]


def _all_of(question: str, last: Any, what: str, number: str, *, is_promised: bool) -> Bar:
    if last is None:
        return Bar(question=question, promise="all" if is_promised else "")
    value, total = last.get(what, 0), last[number]
    return Bar(
        question=question,
        value=f"{value} of {total}",
        promise="all" if is_promised else "",
        is_met=value == total if is_promised else None,
        note=", ".join(f"{name} {count}" for name, count in last.get("failures", {}).items()),
    )


def rows(measured: Measured) -> list[Row]:
    """One row a case that kills."""
    return [
        {
            "case": name,
            "kills": items[-1]["kills"],
            "inside a save": items[-1]["kills_in_save"],
            "went on by itself": items[-1]["resumed"],
            "same bits": items[-1]["equal"],
            "saves in a run": items[-1]["saves"],
            "share of time in saves": f"{items[-1]['share_of_time_in_saves']:.0%}",
        }
        for name, items in measured.items()
        if "kills" in items[-1]
    ]


BENCHMARK = Benchmark(
    name="crash_safety",
    question="Does a run that was killed at a random moment go on by itself, and to the same end?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="10 of 100 kills (6 of 30 of Trainer) and 40 of 200 harmed states.",
    functions={"ours": ours, "peer": peer, "corruptions": corruptions},
)

if __name__ == "__main__":
    main(BENCHMARK)
