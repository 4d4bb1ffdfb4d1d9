"""Tune on a table of numbers, categories, a date and notes; a threshold by what mistakes cost; ask about one customer.

    python examples/tables.py

Leave `method` and `table_text_model` out to try the whole ladder and to have the notes read by the default text model.
"""

from pathlib import Path

import luthier

CUSTOMERS = Path(__file__).parent / "data" / "hearthline_customers.csv"


def main() -> None:
    """From a table to answers."""
    for finding in luthier.check(CUSTOMERS, target="left").findings:
        print(f"{finding.severity}: {finding.problem}")

    run = luthier.tune(
        CUSTOMERS,
        target="left",
        task="table-classification",
        table_text_model="off",
        table_pretraining_epochs=5,
        method="probe",
        false_alarm_cost=5,
        miss_cost=40,
        positive="yes",
        out="runs/tables-example",
        overwrite=True,
    )
    print(run.card)

    model = luthier.load_model(run.model_path)
    customer = {
        "joined": "2025-03-01",
        "plan": "plus",
        "region": "Low Harbour",
        "payment": "card",
        "monthly_fee": 4.90,
        "parcels": 3,
        "late_percent": 60,
        "complaints": 2,
        "last_note": None,
    }
    print(f"Will this customer leave? {model.predict([customer])[0]}")


if __name__ == "__main__":
    main()
