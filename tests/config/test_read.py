"""The file: lines, references, accounts, and all complaints at once."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import Field

from config.fields import Duration, SecretStr, Section, Size
from config.problems import BadFile
from config.read import Document, read
from config.source import parse
from gateway.errors import BadConfig


class Server(Section):
    host: str = "localhost"
    port: int = Field(80, ge=1)
    wait: Duration = 5.0
    limit: Size = 1024
    key: SecretStr | None = None


class Bot(Section):
    token: SecretStr
    loud: bool = False


class Inner(Section):
    open: bool = False
    people: tuple[str, ...] = ()


class Shared(Section):
    access: Inner = Inner()


Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str) -> Path:
        path = tmp_path / "moltgate.yaml"
        path.write_text(text)
        return path

    return put


def _problems(document: Document) -> list[str]:
    with pytest.raises(BadFile) as caught:
        document.finish()
    return [str(problem) for problem in caught.value.problems]


def test_without_a_file_every_section_has_its_defaults() -> None:
    document = read(None)
    server = document.section("server", Server)

    document.finish()

    assert server.value == Server()


def test_an_empty_file_is_fine(write: Write) -> None:
    document = read(write("# nothing yet\n"))
    server = document.section("server", Server)

    document.finish()

    assert server.value.port == 80


def test_values_arrive_with_their_units(write: Write) -> None:
    document = read(write("server: {wait: 250ms, limit: 2MB}"))
    server = document.section("server", Server)

    document.finish()

    assert (server.value.wait, server.value.limit) == (0.25, 2 * 2**20)


def test_everything_wrong_is_told_at_once_with_lines_and_remedies(write: Write) -> None:
    document = read(
        write(
            "server:\n"
            "  prot: 1\n"
            "  port: many\n"
            "  host: ${env:NOWHERE}\n"
            "serverr:\n"
            "  port: 2\n"
            "server:\n"
            "  port: 3\n"
        ),
        {},
    )
    document.section("server", Server)

    assert _problems(document) == [
        "line 2: server.prot: unknown setting (did you mean port?)",
        "line 3: server.port: must be a whole number",
        "line 4: server.host: the environment has no variable NOWHERE "
        "(set it before starting: export NOWHERE=…)",
        "line 5: serverr: unknown section (did you mean server?)",
        "line 7: server: stands twice, first on line 1 (keep one of them)",
    ]


def test_one_problem_names_file_and_line_first(write: Write) -> None:
    document = read(write("server:\n  port: 0\n"))
    document.section("server", Server)

    with pytest.raises(BadConfig, match=r"^moltgate\.yaml:2: server\.port: should be greater"):
        document.finish()


def test_nothing_is_usable_while_something_is_wrong(write: Write) -> None:
    server = read(write("server: {port: x}")).section("server", Server)

    with pytest.raises(BadConfig, match="used although it is wrong"):
        _ = server.value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server:\n\tport: 1\n", "line 2: a tab cannot indent in YAML (use spaces)"),
        ("server: a: b\n", "line 1: a second ': ' on the line"),
        ("- a\n- b\n", "line 1: the file must hold sections"),
        ("just text", "line 1: the file must hold sections"),
        ("server: {port: 1", "line 1: not readable as YAML"),
        ("server: !!python/object:os.system {}\n", "line 1: server: the YAML tag"),
        ("server: {host: !!binary aGk=}\n", "line 1: server.host: the YAML tag binary"),
        ("server: &a {host: *a}\n", "nested too deeply, or an alias that refers to itself"),
        ("server: 5\n", "line 1: server: must hold settings"),
        ("server: {host: '${file:}'}\n", "a file reference without a path"),
        ("server: {host: '${vault:x}'}\n", "unknown reference ${vault:…}"),
    ],
)
def test_unreadable_text_is_told_in_plain_words(write: Write, text: str, told: str) -> None:
    document = read(write(text))
    document.section("server", Server)

    assert told in "\n".join(_problems(document))


def test_scalars_are_what_they_look_like(write: Write) -> None:
    found = parse("{a: no, b: 12:30, c: 2026-01-31, d: 007, e: 1.5, f: true, g: ~, h: 1_000}").data

    assert found == {
        "a": "no",
        "b": "12:30",
        "c": "2026-01-31",
        "d": "007",
        "e": 1.5,
        "f": True,
        "g": None,
        "h": "1_000",
    }


def test_a_boolean_setting_takes_yes_and_a_text_setting_takes_numbers(write: Write) -> None:
    document = read(write("bot: {token: 12345678, loud: yes}\ninner: {people: [123, -456]}"))
    bot, inner = document.section("bot", Bot), document.section("inner", Inner)

    document.finish()

    assert bot.value.loud is True
    assert bot.value.token.get_secret_value() == "12345678"
    assert inner.value.people == ("123", "-456")


def test_merge_keys_give_way_to_what_stands_beside_them(write: Write) -> None:
    found = parse("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n")

    assert found.data["use"] == {"x": 1, "y": 3}
    assert found.faults == ()


# --- references ---------------------------------------------------------------------------------


def test_references_are_put_in_and_remembered_as_secrets(write: Write, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-the-file\n")
    (tmp_path / "key").chmod(stat.S_IRUSR)
    document = read(
        write('server: {key: "${file:key}", host: "${env:PLACE}:1"}\nbot: {token: "${env:TOKEN}"}'),
        {"PLACE": "somewhere", "TOKEN": "from-the-environment"},
    )
    server, bot = document.section("server", Server), document.section("bot", Bot)

    document.finish()

    assert server.value.key is not None
    assert server.value.key.get_secret_value() == "from-the-file"
    assert server.value.host == "somewhere:1"
    assert bot.value.token.get_secret_value() == "from-the-environment"
    assert document.secrets == {"from-the-file", "from-the-environment"}
    assert document.warnings == []


def test_a_doubled_dollar_is_a_literal_one(write: Write) -> None:
    document = read(write('server: {host: "$${env:HOME}"}'), {})
    server = document.section("server", Server)

    document.finish()

    assert server.value.host == "${env:HOME}"


def test_a_secret_in_the_file_itself_is_advised_against(write: Write) -> None:
    document = read(write("bot:\n  token: written-here\n"))
    document.section("bot", Bot)

    document.finish()

    (warning,) = document.warnings
    assert str(warning).startswith("line 2: bot.token: a secret stands in the file itself")
    assert document.secrets == {"written-here"}


def test_a_secret_others_can_read_is_advised_against(write: Write, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("open-to-all")
    (tmp_path / "key").chmod(0o644)
    document = read(write('bot: {token: "${file:key}"}'))
    document.section("bot", Bot)

    document.finish()

    assert "can be read by others (chmod 600" in str(document.warnings[0])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no file"),
        (b"", "is empty"),
        (b"\xff\xfe", "is not text"),
        (b"x" * 70000, "is larger than"),
    ],
)
def test_a_secret_file_that_cannot_be_one_is_named(
    write: Write, tmp_path: Path, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    document = read(write('bot: {token: "${file:key}"}'))
    document.section("bot", Bot)

    (problem,) = _problems(document)
    assert told in problem
    assert str(tmp_path / "key") in problem


def test_no_complaint_repeats_a_value(write: Write) -> None:
    document = read(write("server: {port: hunter2-port, wait: hunter2-wait, key: [hunter2]}"))
    document.section("server", Server)

    assert "hunter2" not in "\n".join(_problems(document))


# --- entries and accounts -----------------------------------------------------------------------


def _accounts(document: Document) -> dict[str, tuple[Bot, Shared]]:
    found = document.accounts("bots", lambda kind: (Bot, Shared), shared=("access",))
    document.section("access", Inner)
    document.finish()
    return {
        f"{each.name}:{each.account}": (each.parts[0].value, each.parts[1].value) for each in found
    }


def test_one_line_is_one_account(write: Write) -> None:
    found = _accounts(read(write("bots:\n  telegram: {token: one-token}\n")))

    assert list(found) == ["telegram:default"]


def test_several_accounts_share_what_stands_beside_them(write: Write) -> None:
    found = _accounts(
        read(
            write(
                "bots:\n  telegram:\n    loud: true\n    accounts:\n"
                "      work: {token: work-token}\n      home: {token: home-token, loud: false}\n"
            )
        )
    )

    assert found["telegram:work"][0].loud is True
    assert found["telegram:home"][0].loud is False


def test_an_entry_is_split_between_its_own_schema_and_the_common_one(write: Write) -> None:
    found = _accounts(read(write("bots: {telegram: {token: a-token, access: {open: true}}}")))

    assert found["telegram:default"][1].access.open is True


def test_shared_settings_come_from_the_section_of_that_name(write: Write) -> None:
    found = _accounts(
        read(
            write(
                "access: {open: true, people: [1]}\n"
                "bots: {telegram: {token: a-token, access: {people: [2]}}}"
            )
        )
    )

    assert found["telegram:default"][1].access == Inner(open=True, people=("2",))


def test_wrong_keys_of_an_entry_are_compared_with_both_schemas(write: Write) -> None:
    document = read(write("bots:\n  telegram:\n    token: a-token\n    acess: {}\n    lowd: 1\n"))
    document.accounts("bots", lambda kind: (Bot, Shared))

    assert _problems(document) == [
        "line 4: bots.telegram.acess: unknown setting (did you mean access?)",
        "line 5: bots.telegram.lowd: unknown setting (did you mean loud?)",
    ]


def test_a_wrong_default_of_several_accounts_is_told_once_and_where_it_stands(
    write: Write,
) -> None:
    document = read(
        write(
            "bots:\n  telegram:\n    loud: 7\n    accounts:\n"
            "      a: {token: a-token}\n      b: {token: b-token}\n"
        )
    )
    document.accounts("bots", lambda kind: (Bot, Shared))

    assert _problems(document) == ["line 3: bots.telegram.loud: must be true or false"]


def test_an_entry_can_be_switched_off(write: Write) -> None:
    document = read(write("bots: {web: false, telegram: {token: a-token}}"))

    assert list(_accounts(document)) == ["telegram:default"]
    assert document.off("bots") == {"web"}


def test_a_kind_nobody_knows_is_told_with_its_line(write: Write) -> None:
    def none(kind: str) -> tuple[type[Section], ...]:
        raise BadConfig(f"bots.{kind}", "no such adapter", "there are: telegram")

    document = read(write("bots:\n  telegam: {token: x}\n"))
    document.accounts("bots", none)

    assert _problems(document) == ["line 2: bots.telegam: no such adapter (there are: telegram)"]


def test_names_that_would_not_fit_into_keys_are_refused(write: Write) -> None:
    document = read(write('servers:\n  "a b": {port: 1}\n'))
    document.entries("servers", lambda name: Server)

    assert "not usable as a name" in _problems(document)[0]


def test_fingerprints_change_with_the_section_and_only_with_it(write: Write) -> None:
    before = read(write("a: {x: 1}\nb: {y: 1}")).fingerprints("key")
    after = read(write("a: {x: 2}\nb: {y: 1}  # moved\n")).fingerprints("key")

    assert before["a"] != after["a"]
    assert before["b"] == after["b"]


# --- files --------------------------------------------------------------------------------------


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="there is no such file"):
        read(tmp_path / "none.yaml")
    with pytest.raises(BadConfig, match="is a folder"):
        read(tmp_path)
    (tmp_path / "latin").write_bytes(b"name: \xe4\n")
    with pytest.raises(BadConfig, match="not UTF-8 at byte 6"):
        read(tmp_path / "latin")


@given(some.text(max_size=200))
def test_no_text_crashes_the_reader(text: str) -> None:
    found = parse(text)

    assert isinstance(found.data, dict)


@given(some.binary(max_size=100))
def test_no_bytes_crash_the_reader(raw: bytes) -> None:
    parse(raw.decode("utf-8", "replace"))
