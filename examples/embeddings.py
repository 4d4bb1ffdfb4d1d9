"""Vectors of texts: learn which article answers which question, then find, recommend and segment by them.

    python examples/embeddings.py

The sample is tiny, so that this runs in half a minute; with so few questions tuning cannot prove much, and the card says so.
"""

from pathlib import Path

import luthier

DATA = Path(__file__).parent / "data"
ARTICLES = DATA / "ferrybike_articles.csv"


def main() -> None:
    """From questions with their articles to answers, recommendations and segments."""
    settings = {"method": "probe", "split": "60/20/20", "batch_size": 16, "max_length": 64}
    run = luthier.tune(DATA / "ferrybike_questions.csv", out="runs/embeddings-example", overwrite=True, **settings)
    print(run.card)

    for found in luthier.find(run.model_path, ARTICLES, ["my child wants to come", "the code did not arrive"], top=2):
        print(found.query, [(hit.id, round(hit.score, 2)) for hit in found.hits])

    recommended = luthier.recommend(run.model_path, ARTICLES, DATA / "ferrybike_read.csv", users=["ada"], top=3)
    print("ada may read", [item.item for item in recommended.items], "-", recommended.verdict)

    segments = luthier.segment(run.model_path, ARTICLES, num_clusters=4, compare="topic")
    for one in segments.segments:
        print(one.size, one.name)


if __name__ == "__main__":
    main()
