"""Payments, few of them fraud: what errors cost decides from which probability on a payment is looked at.

    python examples/fraud.py

The payments are made from a seed. Leave `method` out to try the whole ladder.
"""

import csv
from pathlib import Path

import numpy as np

import luthier

HERE = Path("runs/fraud-example")
COLUMNS = ("amount", "country", "hour", "device_age_days", "same_card_today", "fraud")
LOOK_COSTS, FRAUD_COSTS = 3, 80  # somebody looks at a payment for nothing; a fraud goes through


def write_payments(path: Path, number: int, *, seed: int = 0) -> Path:
    """Payments, of which about one in twelve is fraud: more often at night, on new devices, and with a card used often."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for _ in range(number):
            amount, hour = float(rng.lognormal(3.3, 1.0)), int(rng.integers(24))
            country, age, uses = (
                ("home", "near", "far")[int(rng.choice(3, p=(0.7, 0.2, 0.1)))],
                int(rng.exponential(200)),
                rng.poisson(1),
            )
            risk = -4.6 + 1.3 * (hour < 6) + 1.2 * (country == "far") + 1.6 * (age < 20) + 0.6 * uses + 0.006 * amount
            is_fraud = rng.random() < 1 / (1 + np.exp(-risk))
            shown_age = "" if rng.random() < 0.05 else age
            writer.writerow([f"{amount:.2f}", country, hour, shown_age, int(uses), "yes" if is_fraud else "no"])
    return path


def main() -> None:
    """From payments to a threshold that costs least."""
    HERE.mkdir(parents=True, exist_ok=True)
    run = luthier.tune(
        write_payments(HERE / "payments.csv", 700),
        target="fraud",
        method="probe",
        table_pretraining_epochs=2,
        false_alarm_cost=LOOK_COSTS,
        miss_cost=FRAUD_COSTS,
        positive="yes",
        out=str(HERE / "run"),
        overwrite=True,
    )
    print(run.card)

    model = luthier.load_model(run.model_path)  # it answers by the threshold that costs least
    payment = {"amount": 240.0, "country": "far", "hour": 3, "device_age_days": 2, "same_card_today": 3}
    prob = model.predict_probs([payment])[0, model.labels.index("yes")]
    print(f"Look at this payment? {model.predict([payment])[0]} (probability of fraud {prob:.2f})")


if __name__ == "__main__":
    main()
