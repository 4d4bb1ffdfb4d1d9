"""Find entities in texts: tune on words with tags, print the evidence, ask the model.

    python examples/tokens.py

The head alone, on the frozen model, takes seconds. Leave `method` out to let the ladder find what pays.
"""

from pathlib import Path

import luthier

SAMPLE = Path(__file__).parent / "data" / "workshop.conll"


def main() -> None:
    """From words with tags to entities in new texts."""
    run = luthier.tune(SAMPLE, method="probe", out="runs/tokens-example", overwrite=True)
    print(run.card)

    model = luthier.load_model(run.model_path)
    for note in ("Priya says the fuel pump of the school bus leaks.", "Nothing to do in hall B today."):
        print(note)
        for entity in model.predict([note])[0]:
            place = f"{entity['start']}-{entity['end']}"
            print(f"  {entity['label']:>8}  {entity['text']} ({place}, {entity['confidence']:.0%})")


if __name__ == "__main__":
    main()
