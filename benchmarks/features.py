"""How fast are texts embedded? Our pass against sentence-transformers' `encode` at its defaults, on all texts of banking77.

Both start from a loaded model and a list of texts and end with one vector per text; both are warmed up. Ours includes
tokenizing, the keys of the rows and writing the result to a fresh store; rows that occur twice are computed once.
"""

from collections.abc import Mapping
from typing import Any

from banking77 import load_parts, minilm_folder
from measuring import Phases, median_of, ratio, scratch_folder
from results import Bar, Benchmark, Case, Measured, Row, at_least, cost_row
from runner import main

NUM_WARM_UP = 200


def cases(quick: bool) -> list[Case]:
    """The peer, ours in both precisions, and how well the vectors agree."""
    reduced = {"rows": 2000 if quick else None}
    repeats = 1 if quick else 3
    return [
        Case(name="sentence-transformers", function="peer", settings=reduced, is_peer=True, repeats=repeats),
        Case(name="ours", function="ours", settings={**reduced, "precision": "auto"}, repeats=repeats),
        Case(name="ours-float32", function="ours", settings={**reduced, "precision": "float32"}, repeats=repeats),
        Case(name="agreement", function="agreement", settings={**reduced, "precision": "auto"}),
    ]


def load_texts(limit: int | None) -> list[str]:
    """Train and test of banking77 (13,083 texts), or some of train."""
    parts, _ = load_parts(limit)
    texts = [text for name in ("train", "validation") for text in parts[name].texts]
    return texts + list(parts["test"].texts) if limit is None else texts


def peer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`encode` as its users call it."""
    phases = Phases()
    from sentence_transformers import SentenceTransformer

    phases.end("imports")
    texts = load_texts(settings["rows"])
    model = SentenceTransformer(str(minilm_folder()), device="cpu")
    model.encode(texts[:NUM_WARM_UP])
    phases.end("load")
    model.encode(texts)
    phases.end("features")
    return {"num_texts": len(texts), "gigaflop": _gigaflop(texts), **phases.found()}


def ours(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Tokenize and run the pass."""
    phases = Phases()
    from luthier.core.process import keep_freed_memory, wait_without_spinning

    wait_without_spinning()
    keep_freed_memory()  # both as `luthier tune` does
    import torch  # noqa: F401

    phases.end("imports")
    texts = load_texts(settings["rows"])
    embed, precision = build_pass(settings["precision"])
    embed(texts[:NUM_WARM_UP])
    phases.end("load")
    embed(texts)
    phases.end("features")
    return {"num_texts": len(texts), "gigaflop": _gigaflop(texts), "precision": precision, **phases.found()}


def build_pass(precision: str) -> tuple[Any, str]:
    """A function from texts to vectors, and the precision it works in; every call has a store of its own."""
    from itertools import count

    import numpy as np
    import torch

    from luthier.core.progress import Quiet
    from luthier.features.passes import PassSettings, compute_features, to_device
    from luthier.models.load import choose_attention, load_backbone
    from luthier.models.processors import load_processor
    from luthier.models.settings import ModelSettings
    from luthier.models.source import resolve_model
    from luthier.tasks.readings.text import TEXT
    from luthier.training.device import choose_precision

    source = resolve_model(ModelSettings(), modality="text", near=scratch_folder())
    processor = load_processor(source.folder, "text").with_max_length(256)
    backbone = load_backbone(source, attention=choose_attention("cpu", 128))
    backbone.rehearse(to_device(TEXT.encode(["a", "b"], processor).batch(np.arange(2)), dtype=torch.float32, device="cpu"))
    chosen = choose_precision(precision, device="cpu").value
    stores = count()

    def embed(texts: list[str]) -> Any:
        place = PassSettings(
            identity={}, root=scratch_folder() / f"store-{next(stores)}", precision=chosen, store_type=chosen, device="cpu"
        )
        inputs = TEXT.encode(texts, processor)
        return compute_features(backbone, inputs, place, boundary_rows={}, observer=Quiet()).pooled

    return embed, chosen


def agreement(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The cosine between our vector and the peer's float32 vector of each text."""
    import numpy as np
    from sentence_transformers import SentenceTransformer

    texts = load_texts(settings["rows"])
    embed, precision = build_pass(settings["precision"])
    a, b = embed(texts), SentenceTransformer(str(minilm_folder()), device="cpu").encode(texts)
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return {"least_cosine": float(cosines.min()), "mean_cosine": float(cosines.mean()), "precision": precision}


def _gigaflop(texts: list[str]) -> float:
    """Useful work of one pass in GFLOP, padding and repeated texts included in neither side's count.

    Per layer and token 2 * (4 D^2 + 2 D F) for the projections and the feed-forward network, and 4 T D for scores and
    mixtures of attention (T tokens, D 384 wide, F 1,536 wide, 6 layers); norms, softmax and embeddings are left out.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(sorted(set(texts)))]
    width, inner, layers = 384, 1536, 6
    flop = sum(layers * length * (2 * (4 * width**2 + 2 * width * inner) + 4 * length * width) for length in lengths)
    return round(flop / 1e9, 3)


def bars(measured: Measured) -> list[Bar]:
    """The promises."""
    found = []
    for name, bound in (("ours", 3.5), ("ours-float32", None)):
        both = "sentence-transformers" in measured and name in measured
        for kind, promise in (("cpu", bound), ("wall", None)):
            times = (
                [median_of(measured[case], f"phases_{kind}.features") for case in ("sentence-transformers", name)]
                if both
                else []
            )
            question = f"texts per {'CPU' if kind == 'cpu' else 'wall'} second, {name} / sentence-transformers"
            found.append(at_least(question, ratio(*times) if both else None, promise))
    last = measured["agreement"][-1] if "agreement" in measured else None
    note = f"mean {last['mean_cosine']:.6f}, in {last['precision']}" if last else ""
    least = Bar(question="least cosine to sentence-transformers in float32", promise="at least 0.999")
    if last:
        is_met = last["least_cosine"] >= 0.999
        least = Bar(
            question=least.question, value=f"{last['least_cosine']:.6f}", promise=least.promise, is_met=is_met, note=note
        )
    return [*found, least]


def rows(measured: Measured) -> list[Row]:
    """One row a case; speeds are those of embedding alone, start-up is in the first columns."""
    return [
        cost_row(
            name,
            items,
            **{
                "texts/CPU s": items[-1]["num_texts"] / median_of(items, "phases_cpu.features"),
                "texts/wall s": items[-1]["num_texts"] / median_of(items, "phases_wall.features"),
                "share of matmul peak": f"{_share_of_peak(items):.0%}",
            },
        )
        for name, items in measured.items()
        if "phases_cpu" in items[-1]
    ]


def _share_of_peak(items: Any) -> float:
    """Useful GFLOP per CPU second by those of matrix products in the same precision."""
    precision = items[-1].get("precision", "float32")
    peak = median_of(items, f"environment.calibration.{precision}")
    return float(items[-1]["gigaflop"] / median_of(items, "phases_cpu.features") / peak)


BENCHMARK = Benchmark(
    name="features",
    question="How many texts a second become vectors, compared with sentence-transformers?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="2,000 of 13,083 texts, and one repeat of each.",
    functions={"peer": peer, "ours": ours, "agreement": agreement},
)

if __name__ == "__main__":
    main(BENCHMARK)
