"""Answer questions from a text, and find slots in requests: tune twice, print the evidence, ask the models.

    python examples/questions_and_slots.py

Both samples are small, so that this runs in half a minute. Leave `method` out to let the ladder find what pays.
"""

from pathlib import Path

import luthier

DATA = Path(__file__).parent / "data"
CONTEXT = "Marsh End lighthouse was designed by Olga Tern and built of red brick. It was lit for the first time in 1871."


def main() -> None:
    """From questions with answers, and requests with slots, to answers about new texts."""
    run = luthier.tune(DATA / "boats.json", method="top-blocks:2", num_epochs=5, out="runs/slots-example", overwrite=True)
    print(run.card)
    slots = luthier.load_model(run.model_path)
    for request in ("Could we come tomorrow at 8 pm? Ruth", "Thank you!"):
        (found,) = slots.predict([request])
        print(request, {slot: piece["text"] for slot, piece in found.items()})

    settings = {"method": "top-blocks:2", "num_epochs": 16, "batch_size": 16}  # so few questions need many small steps
    run = luthier.tune(DATA / "lighthouses.json", out="runs/questions-example", overwrite=True, **settings)
    print(run.card)
    questions = luthier.load_model(run.model_path)
    for question in ("Who designed the lighthouse?", "What is the lighthouse built of?"):
        (answer,) = questions.predict([(question, CONTEXT)])
        print(question, answer["text"] or "no answer", f"({answer['confidence']:.0%})")


if __name__ == "__main__":
    main()
