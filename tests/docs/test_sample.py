"""The shipped sample: what its README promises holds, and it stays neither templated nor too easy nor too hard."""

import csv
import re
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "data"
TICKET = r"HL-\d{6}"
CHANNELS = {"email", "chat", "web_form", "voice"}

Row = dict[str, str]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    with (FOLDER / "hearthline.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.fixture(scope="module")
def by_ticket(rows: list[Row]) -> dict[str, Row]:
    return {row["ticket_id"]: row for row in rows}


@pytest.fixture(scope="module")
def readme() -> str:
    return (FOLDER / "README.md").read_text(encoding="utf-8")


def duplicates(readme: str) -> list[tuple[str, str]]:
    return re.findall(rf"^\| ({TICKET}) \| ({TICKET}) \|", readme, re.MULTILINE)


def conflicts(readme: str) -> list[tuple[str, str, str, str]]:
    return re.findall(rf"^\| ({TICKET}) \| (\w+) \| ({TICKET}) \| (\w+) \|$", readme, re.MULTILINE)


def listed(readme: str, title: str) -> list[str]:
    (line,) = (line for line in readme.splitlines() if line.startswith(f"**{title}**"))
    return re.findall(TICKET, line)


def folded(text: str) -> str:
    return " ".join(text.split()).casefold()


@pytest.fixture(scope="module")
def clean(rows: list[Row], readme: str) -> list[Row]:
    """The rows without the planted flaws."""
    planted = {second for _, second in duplicates(readme)} | {again for _, _, again, _ in conflicts(readme)}
    return [row for row in rows if row["message"].strip() and row["category"] and row["ticket_id"] not in planted]


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def near_duplicates(texts: list[str]) -> set[int]:
    """Positions of texts whose sets of 5-word shingles overlap by half or more (Jaccard) with another's."""
    sets = [shingles(text) for text in texts]
    places = defaultdict(list)
    for i, group in enumerate(sets):
        for shingle in group:
            places[shingle].append(i)
    shared = Counter((a, b) for found in places.values() for k, b in enumerate(found) for a in found[:k])
    return {i for pair, n in shared.items() if n / len(sets[pair[0]] | sets[pair[1]]) >= 0.5 for i in pair}


def test_every_row_is_complete_apart_from_the_planted_gaps(rows: list[Row]) -> None:
    assert len(rows) == 1258
    assert list(rows[0]) == ["ticket_id", "received_at", "channel", "message", "queue", "category"]
    assert all(None not in row and None not in row.values() for row in rows)
    assert all(re.fullmatch(TICKET, row["ticket_id"]) for row in rows)
    assert len({row["ticket_id"] for row in rows}) == len(rows)
    assert {row["channel"] for row in rows} == CHANNELS


def test_rows_are_in_the_order_of_time_and_mostly_in_working_hours(rows: list[Row]) -> None:
    times = [datetime.strptime(row["received_at"], "%Y-%m-%dT%H:%M") for row in rows]
    assert times == sorted(times)
    assert 140 <= (times[-1] - times[0]).days <= 160
    assert np.mean([time.weekday() < 5 and 8 <= time.hour < 18 for time in times]) > 0.6


def test_the_readme_counts_the_categories_as_they_are(rows: list[Row], readme: str) -> None:
    stated = {name: int(count) for name, count in re.findall(r"^\| `(\w+)` \| (\d+) \| Q\d\d \|", readme, re.MULTILINE)}
    assert len(stated) == 8
    assert stated == Counter(row["category"] for row in rows if row["category"])


def test_the_queue_gives_the_category_away_as_the_readme_says(rows: list[Row], readme: str) -> None:
    queue_of = dict(re.findall(r"^\| `(\w+)` \| \d+ \| (Q\d\d) \|", readme, re.MULTILINE))
    assert len(set(queue_of.values())) == 8
    labelled = [row for row in rows if row["category"]]
    agreeing = sum(row["queue"] == queue_of[row["category"]] for row in labelled)
    assert f"in {agreeing:,} of the {len(labelled):,} labelled rows (97 %)" in readme
    assert round(100 * agreeing / len(labelled)) == 97


def test_planted_duplicates_and_conflicts_are_all_there_are(rows: list[Row], by_ticket: dict[str, Row], readme: str) -> None:
    same, other = duplicates(readme), conflicts(readme)
    assert (len(same), len(other)) == (14, 5)
    for first, second in same:
        assert by_ticket[first]["category"] == by_ticket[second]["category"] != ""
    for first, category, again, another in other:
        assert category != another
        assert (by_ticket[first]["category"], by_ticket[again]["category"]) == (category, another)
    groups = defaultdict(set)
    for row in rows:
        groups[folded(row["message"])].add(row["ticket_id"])
    groups.pop("")
    repeated = {frozenset(tickets) for tickets in groups.values() if len(tickets) > 1}
    assert repeated == {frozenset(pair) for pair in same} | {frozenset((first, again)) for first, _, again, _ in other}


def test_some_duplicates_are_exact_and_some_differ_in_case_or_spaces(by_ticket: dict[str, Row], readme: str) -> None:
    exact = [by_ticket[first]["message"] == by_ticket[second]["message"] for first, second in duplicates(readme)]
    assert exact.count(True) == readme.count("| exact |") == 6


def test_planted_gaps_are_all_there_are(rows: list[Row], readme: str) -> None:
    no_message = [row["ticket_id"] for row in rows if not row["message"].strip()]
    no_category = [row["ticket_id"] for row in rows if not row["category"]]
    assert (len(no_message), len(no_category)) == (6, 3)
    assert no_message == listed(readme, "6 rows with an empty message")
    assert no_category == listed(readme, "3 rows with an empty category")


def test_near_duplicates_outside_the_planted_ones_are_under_one_percent(clean: list[Row], rows: list[Row]) -> None:
    assert len(near_duplicates([row["message"] for row in rows])) >= 2 * (14 + 5)  # the measure sees the planted ones
    assert len(near_duplicates([row["message"] for row in clean])) < 0.01 * len(clean)


def test_messages_are_short_and_long(clean: list[Row], readme: str) -> None:
    lengths = np.array([len(row["message"].split()) for row in clean])
    assert (lengths < 6).sum() >= 10
    assert (lengths < 12).mean() > 0.15
    assert (lengths > 60).sum() >= 100
    assert f"{lengths.min()} to {lengths.max()} words" in readme


def test_the_readme_counts_the_line_breaks(rows: list[Row], readme: str) -> None:
    broken = sum("\n" in row["message"].strip() for row in rows)
    assert f"{broken} messages have line breaks" in readme


def test_no_message_holds_an_address_or_a_telephone_number(rows: list[Row]) -> None:
    contact = re.compile(r"\w@\w|https?:|www\.|\w\.(?:com|net|org|co\.uk)\b|\+?\d(?:[ ()/-]{0,3}\d){8,}")
    assert contact.search("me@example.org") and contact.search("ring 030 / 1234 5678")
    assert [row["ticket_id"] for row in rows if contact.search(row["message"])] == []


@pytest.mark.parametrize("strength", [1, 10])
def test_a_bag_of_words_finds_it_neither_easy_nor_hopeless(clean: list[Row], strength: float) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=strength, max_iter=1000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_score(model, [row["message"] for row in clean], [row["category"] for row in clean], cv=folds)
    assert 0.70 < scores.mean() < 0.90
