"""Tune on texts: check the sample, tune on it, print the evidence, ask the model.

    python examples/text.py

The probe takes seconds. Leave `method` and `max_rows` out to let the ladder find what pays on all rows.
"""

from pathlib import Path

import luthier

SAMPLE = Path(__file__).parent / "data" / "hearthline.csv"


def main() -> None:
    """From a table to answers."""
    for finding in luthier.check(SAMPLE, target="category").findings:
        print(f"{finding.severity}: {finding.problem}")

    run = luthier.tune(
        SAMPLE, target="category", ignore=["queue"], method="probe", max_rows=400, out="runs/text-example", overwrite=True
    )
    print(run.card)

    model = luthier.load_model(run.model_path)
    for message in ("The parcel was wet and the box torn open.", "I cannot log in since yesterday."):
        print(f"{model.predict([message])[0]:>16}  {message}")


if __name__ == "__main__":
    main()
