"""Words with boxes become text; no Tesseract in here."""

from __future__ import annotations

from multimodal.ocr import layout
from multimodal.ocr.tesseract import Word, parsed


def line(text: str, *, left: int = 0, top: int = 0, block: int = 1, number: int = 1) -> list[Word]:
    """Words of a line, ten pixels a character and twenty high; two blanks are a wide gap."""
    found = []
    for word in text.split(" "):
        if word:
            found.append(
                Word(word, left, top, 10 * len(word), 20, 95.0, block, paragraph=1, line=number)
            )
        left += 10 * len(word) + 10 if word else 40
    return found


def test_lines_stay_lines() -> None:
    words = line("two lines", top=0, number=1) + line("of it", top=30, number=2)
    assert layout.to_text(words) == "two lines\nof it"


def test_more_room_than_usual_begins_a_paragraph() -> None:
    tops = (0, 30, 60, 130, 160)
    words = [
        word for number, top in enumerate(tops) for word in line("a line", top=top, number=number)
    ]
    assert layout.to_text(words) == "a line\na line\na line\n\na line\na line"


def test_double_spaced_lines_are_one_paragraph() -> None:
    words = [word for number in range(4) for word in line("a b", top=number * 50, number=number)]
    assert layout.to_text(words) == "a b\na b\na b\na b"


def test_the_next_column_begins_a_paragraph() -> None:
    words = line("left side", top=0) + line("left end", top=30, number=2)
    words += line("right side", left=300, top=0, block=2)
    assert layout.to_text(words) == "left side\nleft end\n\nright side"


def test_rows_of_short_cells_become_a_table() -> None:
    words = (
        line("Name   Size") + line("Ada   7", top=40, number=2) + line("Bob   9", top=80, number=3)
    )
    assert layout.to_text(words) == "| Name | Size |\n| --- | --- |\n| Ada | 7 |\n| Bob | 9 |"


def test_a_table_in_blocks_of_its_columns_is_put_together() -> None:
    names, sizes, prices = ("Name", "Ada", "Bob"), ("Size", "7", ""), ("Price", "1.0", "2|5")
    words = [
        word
        for block, (left, column) in enumerate(((0, names), (200, sizes), (400, prices)))
        for number, cell in enumerate(column)
        for word in line(cell, left=left, top=40 * number, block=block, number=number)
    ]
    assert layout.to_text(words) == (
        "| Name | Size | Price |\n| --- | --- | --- |\n| Ada | 7 | 1.0 |\n| Bob |  | 2\\|5 |"
    )


def test_what_stands_around_a_table_stays_around_it() -> None:
    words = line("Before it", top=0)
    for number, row in enumerate(("A   B   C", "1   2   3"), 1):
        words += line(row, top=100 + 40 * number, number=number, block=2)
    words += line("After it", top=300, block=3)
    text = layout.to_text(words)
    assert text == "Before it\n\n| A | B | C |\n| --- | --- | --- |\n| 1 | 2 | 3 |\n\nAfter it"


def test_running_text_side_by_side_is_no_table() -> None:
    words = []
    for number in range(4):
        words += line("so goes the first column on", top=30 * number, number=number)
    for number in range(4):
        words += line(
            "and this is in the second", left=400, top=30 * number, number=number, block=2
        )
    assert "|" not in layout.to_text(words)


def test_ruled_lines_read_as_letters_are_no_cells() -> None:
    words = []
    for number, row in enumerate(("|   A   |   B   |", "|   1   |   2   |", "|   3   |   4   |")):
        words += line(row, top=40 * number, number=number)
    assert "| A | B |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |" in layout.to_text(words)


def test_chinese_has_no_blanks_and_korean_has() -> None:
    assert layout.joined(line("我们 今天 use Python 3 学习")) == "我们今天 use Python 3 学习"
    assert layout.joined(line("오늘 날씨")) == "오늘 날씨"


def test_text_is_normalised_and_without_controls() -> None:
    assert layout.to_text(line("Mu\u0308he\x07 \x1b[31mrot")) == "Mühe [31mrot"


def test_only_words_of_the_table_tesseract_gives_are_taken() -> None:
    table = "\n".join(
        [
            "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext",
            "1\t1\t0\t0\t0\t0\t0\t0\t640\t480\t-1\t",
            "4\t1\t2\t1\t3\t0\t36\t92\t500\t30\t-1\t",
            "5\t1\t2\t1\t3\t1\t36\t92\t60\t24\t96.063751\tThis",
            "5\t1\t2\t1\t3\t2\t109\t92\t20\t24\t-1\tis",
            "5\t1\t2\t1\t3\t3\t141\t98\t15\t18\t95.5\t ",
        ]
    )
    assert parsed(table) == [
        Word("This", 36, 92, 60, 24, 96.063751, 2, 1, 3),
        Word("is", 109, 92, 20, 24, 0.0, 2, 1, 3),
    ]
