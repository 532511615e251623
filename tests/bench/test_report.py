"""The document, its table and its drawing, of made-up figures."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from bench.figures import BYTES, COUNT, MS, PER_S, SECONDS, SHARE, US, Figure, Findings, Line, Report, Unit
from bench.report.plot import Axis, plot
from bench.report.table import document, table

TITLES = {"stagecrew": "stagecrew", "chain": "naive chain", "floor": "floor"}
SVG = "{http://www.w3.org/2000/svg}"


def test_a_peers_value_stands_with_its_ratio_to_ours() -> None:
    cpu = Figure(title="CPU", unit=MS, values={"stagecrew": 10.0, "chain": 42.0, "floor": 6.5})
    *_, row = table([cpu], TITLES).splitlines()
    assert row == "| CPU |  | 10.0 ms | 42.0 ms (×4.2) | 6.5 ms (×0.65) |"


def test_there_is_no_ratio_to_nothing_and_none_of_counts() -> None:
    refused = Figure(title="refused", unit=COUNT, values={"stagecrew": 0, "chain": 1234})
    reads = Figure(title="reads", unit=COUNT, values={"stagecrew": 2, "chain": 4})
    _, _, *rows = table([refused, reads], TITLES).splitlines()
    assert rows == ["| refused |  | 0 | 1,234 |", "| reads |  | 2 | 4 |"]


def test_what_was_not_measured_is_a_dash_and_who_measured_nothing_has_no_column() -> None:
    one = Figure(title="one", unit=COUNT, values={"stagecrew": 1, "floor": 2})
    two = Figure(title="two", unit=COUNT, values={"stagecrew": 1})
    head, _, _, row = table([one, two], TITLES).splitlines()
    assert head == "| figure | asked | stagecrew | floor |"
    assert row == "| two |  | 1 | – |"


@pytest.mark.parametrize(("holds", "mark"), [(True, " ✓"), (False, " ✗"), (None, "")])
def test_what_is_asked_is_said_with_whether_it_holds(holds: bool | None, mark: str) -> None:
    figure = Figure(title="use", unit=SHARE, values={"stagecrew": 0.98}, asked="≥ 97 %", holds=holds)
    assert table([figure], TITLES).splitlines()[-1] == f"| use | ≥ 97 %{mark} | 98.0 % |"


@pytest.mark.parametrize(
    ("unit", "value", "written"),
    [
        (SHARE, 0.9785, "97.9 %"),
        (COUNT, 1_000_000, "1,000,000"),
        (MS, 9.84, "9.8 ms"),
        (MS, 150.4, "150 ms"),
        (US, 31.2, "31 µs"),
        (SECONDS, 1.034, "1.03 s"),
        (BYTES, 788.4, "788 B"),
        (PER_S, 20_125.7, "20,126/s"),
    ],
)
def test_a_value_is_written_with_its_unit(unit: Unit, value: float, written: str) -> None:
    assert unit.write(value) == written


def test_the_document_has_the_command_the_machine_and_the_table() -> None:
    good = Figure(title="good", unit=COUNT, values={"stagecrew": 1}, asked="1", holds=True)
    bad = Figure(title="bad", unit=COUNT, values={"stagecrew": 2}, asked="1", holds=False)
    report = Report(command="stagecrew bench --full", machine="2 cores", findings=[Findings(figures=(good, bad))])
    text = document(report, TITLES, "## How\n")
    assert "```sh\nstagecrew bench --full\n```" in text
    assert "2 cores" in text
    assert table(report.figures, TITLES) in text
    assert text.endswith("## How\n")
    assert report.failing == [bad]


def test_the_drawing_has_a_line_for_each_contender_within_its_frame() -> None:
    lines = [Line(label="stagecrew", points=((0, 0), (10, 50))), Line(label="a & b", points=((0, 10), (20, 25)))]
    curve = [Line(label="µs", points=((1000, 30), (10_000, 31), (1_000_000, 40)))]
    root = ET.fromstring(plot(lines, curve, 50))
    drawn = root.findall(f"{SVG}polyline")
    assert len(drawn) == 3
    places = [tuple(map(float, point.split(","))) for line in drawn for point in line.attrib["points"].split()]
    assert all(0 <= x <= 1000 and 0 <= y <= 400 for x, y in places)
    assert {"stagecrew", "a & b", "1k", "10k", "1M"} <= {text.text for text in root.findall(f"{SVG}text")}


def test_one_size_or_one_contender_is_enough_for_a_drawing() -> None:
    line = Line(label="x", points=((0, 0), (3, 1)))
    assert len(ET.fromstring(plot([line], [], 50)).findall(f"{SVG}polyline")) == 1
    point = Line(label="x", points=((1000, 12.5),))
    assert len(ET.fromstring(plot([], [point], 50)).findall(f"{SVG}circle")) == 1


def test_an_axis_places_its_ends_and_its_middle() -> None:
    assert [Axis(low=0, high=10, begin=100, end=200, ticks=()).place(x) for x in (0, 5, 10)] == [100, 150, 200]
    assert Axis(low=1, high=100, begin=0, end=10, ticks=(), log=True).place(10) == pytest.approx(5)


def test_a_drawing_fetches_nothing() -> None:
    drawn = plot([Line(label="x", points=((0, 0), (3, 1)))], [], 50)
    assert re.findall(r"https?://\S+?'", drawn) == ["http://www.w3.org/2000/svg'"]
