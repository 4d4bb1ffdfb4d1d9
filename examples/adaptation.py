"""Adapt a language model to texts without labels: make a small one, adapt it to clauses of leases, see what it forgot.

    python examples/adaptation.py

The model is pre-trained on the spot on support messages, for a minute at most and far too briefly: it stands for the one you
bring. `model=` takes any folder of Hugging Face that was saved with its head (…ForMaskedLM or …ForCausalLM).
"""

import runpy
import sys
from pathlib import Path

import luthier

HERE = Path(__file__).parent
LEASES, MESSAGES = HERE / "data" / "leases.txt", HERE / "data" / "hearthline.csv"
SMALL = Path("runs/small-language-model")


def pretrain() -> None:
    """A masked language model that has read support messages."""
    sys.argv = ["language_model.py", str(SMALL), f"{MESSAGES}:message", "--kind", "masked", "--steps", "20", "--entries", "800"]
    runpy.run_path(str(HERE / "pretraining" / "language_model.py"), run_name="__main__")


def main() -> None:
    """From a model of messages to one of leases."""
    if not (SMALL / "model.safetensors").is_file():
        pretrain()
    run = luthier.adapt(
        LEASES,
        model=str(SMALL),
        general=str(MESSAGES),
        general_text="message",
        general_share=0.2,
        method="full",
        num_epochs=15,
        learning_rate=1e-3,
        batch_size=8,
        out="runs/adaptation-example",
        overwrite=True,
    )
    print(run.card)

    model = luthier.load_model(run.model_path)
    for text in ("The Landlord shall give notice in writing to the Tenant.", "hi, where is my parcel??"):
        print(f"{model.predict([text])[0]:>10,.1f}  {text}")
    print(f"With labels: luthier tune labelled.csv --target COLUMN --model {run.model_path}")


if __name__ == "__main__":
    main()
