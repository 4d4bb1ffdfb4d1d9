"""The whole page: what it holds, what it must never hold, and that it survives records that are not there."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from luthier.core.storage import read_json, write_json
from luthier.errors import DataError
from luthier.report import wanted_examples, write_report
from luthier.report.page import describe_example, with_code
from luthier.report.sections import SECTIONS

NBSP = "\N{NO-BREAK SPACE}"
ATTACK = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects what a page is made of, and complains about tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for _, attributes in self.tags if attribute in attributes]


def read_page(folder: Path, **examples: str) -> Page:
    return Page(write_report(folder, title="Sorting tickets", examples=examples).read_text(encoding="utf-8"))


def change_metrics(folder: Path, **changes: object) -> None:
    write_json(folder / "metrics.json", {**read_json(folder / "metrics.json"), **changes})


@pytest.mark.parametrize("name", ["tickets", "banking", "insects"])
def test_every_section_is_on_the_page_and_in_the_contents(make_run: Callable[..., Path], name: str) -> None:
    page = read_page(make_run(name))
    assert [attributes["id"] for tag, attributes in page.tags if tag == "section"] == ALWAYS
    assert [attributes["href"] for tag, attributes in page.tags if tag == "a"][1:] == [f"#{section}" for section in ALWAYS]


def test_numbers_of_the_metrics_appear(tickets: Path) -> None:
    page = read_page(tickets)
    metrics = read_json(tickets / "metrics.json")
    tuned = metrics["test"]["tuned"]["accuracy"]
    assert f"{100 * tuned['value']:.1f}{NBSP}%" in page.text
    assert f"{100 * tuned['low']:.1f} to {100 * tuned['high']:.1f}{NBSP}%" in page.text
    for comparison in metrics["comparisons"]:
        assert f"{100 * comparison['difference']:+.1f}{NBSP}points" in page.text
    for row in metrics["per_class"]:
        assert f"{100 * row['f1']:.1f}{NBSP}%" in page.text
    assert metrics["verdict_reason"] in page.text
    assert "Use the tuned model." in page.text


def test_decisions_findings_rungs_and_the_spec_appear(tickets: Path) -> None:
    text = read_page(tickets).text
    for line in (tickets / "decisions.jsonl").read_text(encoding="utf-8").splitlines():
        decision = json.loads(line)
        assert decision["override"] in text
        assert decision["reason"] in text
    for finding in read_json(tickets / "findings.json")["findings"]:
        assert finding["problem"] in text
    assert all(title in text for title in ("Probe", "Top 2 blocks", "All blocks"))
    assert (tickets / "spec.yaml").read_text(encoding="utf-8") in text
    assert "not asked for; add --compare-scratch" in text.lower()


def test_texts_and_labels_of_the_data_are_escaped_everywhere(make_run: Callable[..., Path]) -> None:
    folder = make_run("tickets", labels=(ATTACK, "b & c", '"quoted"'))
    findings = read_json(folder / "findings.json")
    for finding in findings["findings"]:
        finding["problem"] = finding["remedy"] = finding["check"] = ATTACK + f"`{ATTACK}`"
    findings["data"]["files"] = [ATTACK]
    findings["data"]["name"] = ATTACK
    findings["data"]["columns"][0]["name"] = ATTACK
    write_json(folder / "findings.json", findings)
    change_metrics(folder, verdict_reason=ATTACK, absent={"scratch": ATTACK})
    (folder / "spec.yaml").write_text(f"sources: ['{ATTACK}']\nmodel: {{name: '{ATTACK}'}}\n", encoding="utf-8")
    (folder / "decisions.jsonl").write_text(
        json.dumps({"name": ATTACK, "value": ATTACK, "reason": ATTACK, "override": ATTACK, "evidence": {ATTACK: ATTACK}}) + "\n"
    )
    examples = dict.fromkeys(wanted_examples(folder), ATTACK)
    out = write_report(folder, title=ATTACK, examples=examples)
    html = out.read_text(encoding="utf-8")
    assert "<script" not in html.lower()
    assert "onerror=alert" not in "".join(re.findall(r"<[^>]*>", html))
    assert html.count("&lt;script&gt;alert(1)") > 20
    assert not [tag for tag, _ in Page(html).tags if tag in ("script", "img", "iframe", "object", "link")]


@pytest.mark.parametrize("name", ["tickets", "insects"])
def test_the_page_asks_the_network_for_nothing(make_run: Callable[..., Path], picture: str, name: str) -> None:
    folder = make_run(name)
    page = read_page(folder, **dict.fromkeys(wanted_examples(folder), picture))
    assert all(value.startswith("data:image/") for value in page.values("src"))
    assert all(value.startswith("#") for value in page.values("href"))
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\((?!#)|https?://", html)
    policy = next(value for value in page.values("content") if "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")


def test_ids_are_unique_and_references_resolve(tickets: Path) -> None:
    page = read_page(tickets)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    html = (tickets / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r'(?:href="|url\()#([\w-]+)', html)) <= set(ids)


def test_tables_have_headers_and_figures_have_a_name(tickets: Path) -> None:
    page = read_page(tickets)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("thead") >= 5
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true"
    assert page.tags[0] == ("html", {"lang": "en"})


def test_the_same_folder_gives_the_same_bytes(tickets: Path, tmp_path: Path) -> None:
    first, second = (write_report(tickets, title="t", examples={}, out=tmp_path / name) for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()


def test_a_run_with_150_labels_stays_small(make_run: Callable[..., Path], picture: str) -> None:
    labels = tuple(f"a rather long label with number {number}" for number in range(150))
    folder = make_run("banking", labels=labels, num_test=4500)
    examples = dict.fromkeys(wanted_examples(folder), picture[:30] + picture[30:] * 3)
    path = write_report(folder, title="Many labels", examples=examples)
    assert path.stat().st_size < 1.5e6
    assert labels[149] in path.read_text(encoding="utf-8")


ALWAYS = [name for name in SECTIONS if name not in ("search", "columns", "boxes")]  # of searches, of tables, of boxes
OPTIONAL = ["spec.yaml", "decisions.jsonl", "findings.json", "journal.jsonl", "predictions.parquet"]


@pytest.mark.parametrize("missing", [*([name] for name in OPTIONAL), OPTIONAL])
def test_missing_records_leave_a_page_that_says_so(tickets: Path, missing: list[str]) -> None:
    for name in missing:
        (tickets / name).unlink()
    page = read_page(tickets)
    assert "Use the tuned model." in page.text
    assert [attributes["id"] for tag, attributes in page.tags if tag == "section"] == ALWAYS


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"calibration": {}}, "This run recorded no probabilities"),
        ({"per_class": [], "confusion": [], "labels": []}, "There are no scores by label"),
        ({"absent": {}}, "Most frequent label"),
        ({"comparisons": []}, "Use the tuned model."),
        ({"cost": {}}, "Use the tuned model."),
        ({"test": {"tuned": {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}}}, "comparisons": []}, "90.0"),
        ({"test": {"tuned": {"rmse": {"value": 0.912, "low": 0.8, "high": 1.1}}}, "primary_measure": "rmse"}, "0.912"),
        ({"retained": {"tuned": {"accuracy": {"value": 0.123, "low": 0.1, "high": 0.2}}}}, "What it could do before"),
        ({"verdict": "keep with care"}, "read the condition below"),
        ({"verdict": "do not keep", "recommended": "classic"}, "Use the classic model."),
    ],
)
def test_metrics_with_less_in_them_still_make_a_page(tickets: Path, changes: dict[str, object], expected: str) -> None:
    change_metrics(tickets, **changes)
    assert expected in read_page(tickets).text


def test_a_folder_without_metrics_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no metrics.json.*\n.*luthier tune"):
        write_report(tmp_path, title="t", examples={})
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_record_names_the_file_and_the_place(tickets: Path) -> None:
    change_metrics(tickets, n="many")
    with pytest.raises(DataError, match=r"metrics.json has 1 value of another kind than expected: n:"):
        write_report(tickets, title="t", examples={})
    assert not (tickets / "report.html").exists()


def test_wanted_examples_are_those_that_are_shown(tickets: Path) -> None:
    wanted = wanted_examples(tickets)
    page = read_page(tickets, **{name: f"the text of {name};" for name in wanted})
    assert len(wanted) > 12
    assert all(f"the text of {name};" in page.text for name in wanted)


def test_pictures_are_shown_only_as_small_raster_data(picture: str) -> None:
    svg = "data:image/svg+xml;base64,PHN2Zz4="
    huge = "data:image/png;base64," + "A" * 100_000
    sneaky = 'data:image/png;base64,AAAA" onload="alert(1)'
    examples = {"good": picture, "svg": svg, "huge": huge, "sneaky": sneaky, "text": "data: image/ or not"}
    shown = {name: describe_example(examples, name) for name in examples}
    assert shown["good"]["image"] == picture
    assert not any(shown[name]["image"] for name in ("svg", "huge", "sneaky"))
    assert shown["text"]["text"] == "data: image/ or not"
    assert describe_example({}, "unknown") == {"id": "unknown", "image": "", "text": ""}


def test_backticks_mark_what_to_type_and_odd_ones_stay() -> None:
    assert str(with_code("use `--a <b>`!")) == "use <code>--a &lt;b&gt;</code>!"
    assert str(with_code("it`s <b>")) == "it`s &lt;b&gt;"
