"""Tune a small translator of everyday phrases to those of a support desk; then ask it for a translation.

    python examples/sequences.py

There is no pre-trained translator in the repository, so one is made first, in some seconds, by
`pretraining/sequence_to_sequence.py`. With a model of your own, or a name on the Hub such as `google-t5/t5-small`, leave that
out. Summaries are tuned in the same way: a column of long texts, one of short ones, and `--task summarization` where the
lengths do not say so.
"""

import runpy
import sys
from pathlib import Path

import luthier

HERE = Path(__file__).parent
PHRASES = HERE / "data" / "desk_phrases.tsv"
MODEL = Path("runs") / "small-translator"


def pretrain() -> None:
    """Write a small encoder-decoder that has learnt from everyday phrases."""
    script, data = HERE / "pretraining" / "sequence_to_sequence.py", HERE / "data" / "everyday_phrases.tsv"
    columns = ["--text", "english", "--target", "spanish"]
    small = ["--epochs", "60", "--vocabulary", "700", "--width", "64", "--blocks", "1", "--tokens", "250"]
    sys.argv = [str(script), str(MODEL), str(data), *columns, *small]
    runpy.run_path(str(script), run_name="__main__")


def main() -> None:
    """From pairs of phrases to a translator."""
    pretrain()
    run = luthier.tune(
        PHRASES,
        text="english",
        target="spanish",
        model=str(MODEL),
        method="full",
        num_epochs=40,
        learning_rate=3e-3,
        batch_size=4,
        patience=10,
        num_beams=2,
        out="runs/sequences-example",
        overwrite=True,
    )
    print(run.card)

    model = luthier.load_model(run.model_path)
    print(model.predict(["When does my parcel arrive?"])[0])


if __name__ == "__main__":
    main()
