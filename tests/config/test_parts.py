"""Components within components, references to instances, defaults of plugins, stores of secrets."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from roomkit_core import ConfigError, RoomKit
from tests.config import pager
from tests.config.conftest import KitOf, Problems
from tests.registry.plugins import Site
from tests.support.configs import write_config

SUPPORT = """\
[stores.main]
use = "memory"
[channels.support]
use = "pager"
number = "1"
provider = { use = "beeper", token = "long-enough" }
"""


def channel(kit: Any, name: str = "support") -> Any:
    return kit.get_channel(name)


def test_a_channel_gets_the_provider_that_its_section_describes(kit_of: KitOf) -> None:
    kit = kit_of(
        """
        [channels.support]
        use = "pager:pager"
        number = "112"
        [channels.support.provider]
        use = "beeper"
        token = { env = "TOKEN" }
        pace = 3
        """,
        TOKEN="of-the-environment",
    )

    support = channel(kit)
    assert (support.channel_id, support.number, support.region) == ("support", "112", "eu")
    assert support.provider.token.get_secret_value() == "of-the-environment"
    assert support.provider.pace == 3


def test_two_channels_that_name_one_provider_share_it(kit_of: KitOf) -> None:
    kit = kit_of(
        """
        [channels.a]
        use = "pager"
        number = "1"
        provider = "ours"
        [channels.b]
        use = "pager"
        number = "2"
        provider = "ours"
        [providers.ours]
        use = "beeper"
        token = "long-enough"
        """
    )

    assert channel(kit, "a").provider is channel(kit, "b").provider


def test_an_instance_wins_over_the_defaults_of_its_plugin_and_those_over_the_model(kit_of: KitOf) -> None:
    text = SUPPORT + '[plugins.pager]\nregion = "us"\npace = 7\n'

    kit = kit_of(text)
    assert (channel(kit).region, channel(kit).provider.pace) == ("us", 7)

    kit = kit_of(text.replace('number = "1"', 'number = "1"\nregion = "asia"'))
    assert channel(kit).region == "asia"

    kit = kit_of(text, ROOMKIT_PLUGINS__PAGER__REGION="moon")
    assert channel(kit).region == "moon"

    kit = kit_of(text, ROOMKIT_CHANNELS__SUPPORT__REGION="mars", ROOMKIT_CHANNELS__SUPPORT__PROVIDER__PACE="9")
    assert (channel(kit).region, channel(kit).provider.pace) == ("mars", 9)


def test_code_wins_over_everything(site: Site, tmp_path: Path) -> None:
    pager.install(site)
    file = write_config(tmp_path, SUPPORT + "[plugins.pager]\npace = 7\n")

    kit = RoomKit.from_config(
        file,
        environ={"ROOMKIT_CHANNELS__SUPPORT__REGION": "mars", "ROOMKIT_CHANNELS__SUPPORT__NUMBER": "2"},
        overrides={"channels": {"support": {"region": "venus", "provider": {"pace": 9}}}},
    )

    assert (channel(kit).region, channel(kit).number, channel(kit).provider.pace) == ("venus", "2", 9)
    with pytest.raises(ConfigError, match=r"roomkit\.toml:3: channels\.support\.colour: there is no such key"):
        RoomKit.from_config(file, environ={}, overrides={"channels": {"support": {"colour": 1}}})


def test_a_collection_in_the_environment_is_json(kit_of: KitOf) -> None:
    kit = kit_of(SUPPORT, ROOMKIT_CHANNELS__SUPPORT__LABELS='{"team": "red"}')

    assert channel(kit).labels == {"team": "red"}


LOOKS = ("[1,2]", '{"a":1}', '["12345678"]', "123456789", "true", "1e3", "007", "null", '{ env = "X" }', "[" * 50_000)
"""Texts that look like something else."""

TEXTS = """
[secrets.safe]
use = "vault"
key = "of-the-vault"
[auth.gate]
use = "gate"
password = {0}
guests = {{ ann = {{ word = {0} }} }}
[plugins.pager]
gate = "gate"
region = {0}
[channels.a]
use = "pager"
number = {0}
labels = {{ x = {0} }}
provider = {{ use = "beeper", token = {0} }}
"""

WAYS = {"literal": "'{}'", "env": '{{ env = "WORD" }}', "file": '{{ file = "word.txt" }}', "vault": "{{ safe = '{}' }}"}

VARIABLES = tuple(
    f"ROOMKIT_{name}"
    for name in (
        "AUTH__GATE__PASSWORD",
        "AUTH__GATE__GUESTS__ANN__WORD",
        "PLUGINS__PAGER__REGION",
        "CHANNELS__A__NUMBER",
        "CHANNELS__A__LABELS__X",
        "CHANNELS__A__PROVIDER__TOKEN",
    )
)


@pytest.mark.parametrize("way", [*WAYS, "variable"])
@pytest.mark.parametrize("text", LOOKS, ids=lambda text: str(text)[:12])
def test_a_text_stays_what_it_is_however_it_looks(text: str, way: str, site: Site, tmp_path: Path) -> None:
    pager.install(site)
    parts = site.path / "pager_parts.py"  # a vault that gives what it is asked for, and any word will do
    code = parts.read_text(encoding="utf-8").replace('f"{reference}-of-the-vault"', "reference")
    parts.write_text(code.replace("< 8", "< 1").replace("> 30", "> 99_999"), encoding="utf-8")
    value = WAYS.get(way, '"none"').format(text)
    file = write_config(tmp_path, TEXTS.format(value), word_txt=f"{text}\n")

    kit = RoomKit.from_config(
        file, environ=dict.fromkeys(VARIABLES, text) if way == "variable" else {"WORD": text, "X": "of-the-environment"}
    )

    a, gate = channel(kit, "a"), kit.plugins.settings("pager").gate
    assert [a.number, a.labels["x"], a.region, a.provider.token.get_secret_value()] == [text] * 4
    assert [gate.password.get_secret_value(), gate.guests["ann"].word.get_secret_value()] == [text] * 2


def test_a_reference_may_stand_in_a_variable(kit_of: KitOf, tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text("of-the-file\n", encoding="utf-8")

    kit = kit_of(SUPPORT, ROOMKIT_CHANNELS__SUPPORT__PROVIDER__TOKEN='{"file": "token.txt"}')

    assert channel(kit).provider.token.get_secret_value() == "of-the-file"


def test_a_file_with_a_secret_may_begin_with_the_mark_that_editors_put_there(kit_of: KitOf, tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_bytes(b"\xef\xbb\xbfof-the-file\r\n")

    kit = kit_of(SUPPORT.replace('"long-enough"', '{ file = "token.txt" }'))

    assert channel(kit).provider.token.get_secret_value() == "of-the-file"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("latin.txt", "is not UTF-8"),
        (".", "cannot be read: Is a directory"),
        ("token.txt/x", "cannot be read: Not a directory"),
        ("a\\u0000b", "cannot be the name of a file"),
        ("none.txt", "there is no file"),
    ],
)
def test_a_file_that_gives_no_secret_is_one_mistake_that_says_why(
    name: str, what: str, problems: Problems, tmp_path: Path
) -> None:
    (tmp_path / "latin.txt").write_bytes(b"f\xfcr dich")
    (tmp_path / "token.txt").write_text("of-the-file", encoding="utf-8")

    [problem] = problems(SUPPORT.replace('"long-enough"', f'{{ file = "{name}" }}'))

    assert what in problem


def test_a_number_from_a_variable_is_no_collection(problems: Problems) -> None:
    [problem] = problems(SUPPORT, ROOMKIT_CHANNELS__SUPPORT__PROVIDER__PACE="[3]")

    assert "valid integer" in problem


def test_a_text_that_code_replaces_does_not_come_back(site: Site, tmp_path: Path) -> None:
    pager.install(site)

    kit = RoomKit.from_config(
        write_config(tmp_path, SUPPORT),
        environ={"ROOMKIT_CHANNELS__SUPPORT__NUMBER": "[1]", "ROOMKIT_CHANNELS__SUPPORT__PROVIDER__ACCOUNT": "[2]"},
        overrides={"channels": {"support": {"number": "7", "provider": {"account": "8"}}}},
    )

    assert (channel(kit).number, channel(kit).provider.account) == ("7", "8")


def test_a_table_that_is_wanted_as_a_table_is_no_reference_and_its_values_may_be_some(kit_of: KitOf) -> None:
    kit = kit_of(SUPPORT.replace("number", 'labels = { env = "prod" }\nnumber'))
    assert channel(kit).labels == {"env": "prod"}

    kit = kit_of(SUPPORT.replace("number", 'labels = { env = { env = "STAGE" } }\nnumber'), STAGE="test")
    assert channel(kit).labels == {"env": "test"}


def test_the_settings_of_a_plugin_hold_what_they_refer_to(kit_of: KitOf) -> None:
    kit = kit_of(
        """
        [auth.door]
        use = "gate"
        password = { env = "PASSWORD" }
        [plugins.pager]
        gate = "door"
        pause = "2m"
        """,
        PASSWORD="melon",
    )

    settings = kit.plugins.settings("pager")
    assert settings.gate.password.get_secret_value() == "melon"
    assert settings.pause == 120


def test_a_store_of_secrets_gives_them_with_and_without_a_section(kit_of: KitOf, problems: Problems) -> None:
    text = SUPPORT.replace('token = "long-enough"', 'token = { safe = "beeper" }')
    kit = kit_of(text + '[secrets.safe]\nuse = "vault"\nkey = "sesame"\n')
    assert channel(kit).provider.token.get_secret_value() == "beeper-of-the-vault"

    text = SUPPORT.replace('token = "long-enough"', 'token = { drawer = "beeper" }')
    assert problems(text) == ["6 channels.support.provider.token: drawer does not give 'beeper': LookupError"]


def test_what_a_store_of_secrets_says_is_told_without_its_key(problems: Problems) -> None:
    text = SUPPORT.replace('token = "long-enough"', 'token = { safe = "missing" }')

    found = problems(text + '[secrets.safe]\nuse = "vault"\nkey = "sesame"\n')

    assert found == ["6 channels.support.provider.token: safe does not give 'missing': nothing there, asked with ***"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[channels.a]\nuse = "pager"\nnumber = "1"\n', "1 channels.a.provider: this key is needed"),
        (
            '[channels.a]\nuse = "pager"\nnumber = "1"\nprovider = "x"\n',
            "4 channels.a.provider: there is no [providers.x]",
        ),
        (
            '[channels.a]\nuse = "pager"\nnumber = "1"\nprovider = 1\n',
            "4 channels.a.provider: this is not a table",
        ),
        (
            '[channels.a]\nuse = "pager"\nnumber = "1"\n[channels.a.provider]\nuse = "beepr"\n',
            "5 channels.a.provider.use: no component of kind 'provider' is named 'beepr'",
        ),
        (
            '[channels.a]\nuse = "pager"\nnumber = "1"\n[channels.a.provider]\nuse = "beeper"\n',
            "4 channels.a.provider.token: this key is needed",
        ),
        (
            '[channels.a]\nuse = "bot"\n[channels.a.provider]\nuse = "beeper"\n',
            "3 channels.a.provider: there is no such key",
        ),
        ("[plugins.pager]\npaces = 3\n", "2 plugins.pager.paces: there is no such key"),
        ('[plugins.pager]\ngate = "front"\n', "2 plugins.pager.gate: there is no [auth.front]"),
        (SUPPORT + "[plugins.pager]\npace = 0\n", "8 plugins.pager.pace: input should be greater than or equal to 1"),
    ],
)
def test_a_part_that_cannot_be_had_is_told_where_it_is_asked_for(problems: Problems, text: str, problem: str) -> None:
    assert [found for found in problems(text) if found.startswith(problem)], problems(text)


ACCOUNT = """
[channels.{0}]
use = "pager"
number = "1"
provider = {{ use = "beeper", account = "{1}", token = "canary-of-{0}" }}
"""


def test_whatever_cannot_be_made_is_told_together(problems: Problems, site: Site) -> None:
    found = problems(ACCOUNT.format("a", "closed") + ACCOUNT.format("b", "closed"))

    place = f"{site.path / 'pager_parts.py'}:{pager.line_of('raise RuntimeError')}"
    assert found == [
        f"5 channels.a.provider: provider 'a' cannot be made: RuntimeError: no login with *** ({place})",
        f"10 channels.b.provider: provider 'b' cannot be made: RuntimeError: no login with *** ({place})",
    ]


def test_the_place_is_in_the_code_of_the_plugin_also_if_another_library_raised(problems: Problems, site: Site) -> None:
    [garbled] = problems(ACCOUNT.format("a", "garbled"))
    [strict] = problems(ACCOUNT.format("a", "strict"))

    parts = site.path / "pager_parts.py"
    assert "JSONDecodeError: Expecting value: line 1 column 1 (char 0)" in garbled
    assert garbled.endswith(f"({parts}:{pager.line_of('json.loads')})")
    assert "ValidationError: pace: Input should be a valid integer, unable to parse string as an integer" in strict
    assert strict.endswith(f"({parts}:{pager.line_of('BeeperSettings(token')})")


def test_a_target_that_cannot_be_called_like_this_has_no_place(problems: Problems, site: Site) -> None:
    parts = site.path / "pager_parts.py"
    parts.write_text(parts.read_text(encoding="utf-8").replace("account, token, pace):", "account):"), encoding="utf-8")

    [problem] = problems(ACCOUNT.format("a", "open"))

    assert "TypeError: Beeper.__init__() got an unexpected keyword argument" in problem
    assert not problem.endswith(")")


def test_a_debug_log_has_the_whole_traceback_and_no_secret(
    problems: Problems, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "roomkit.config")
    problems(ACCOUNT.format("a", "late") + ACCOUNT.format("b", "closed") + ACCOUNT.format("c", "strict"))

    late, closed, strict = (record.getMessage() for record in caplog.records)
    assert late.startswith("provider 'a' cannot be made\n")
    assert late.index("JSONDecodeError: Expecting value") < late.index("LookupError: no such account")
    assert "in raw_decode" in late
    assert "no login with ***" in closed
    assert "canary" not in caplog.text
    assert strict.endswith("unable to parse string as an integer")


@pytest.mark.parametrize("raised", ["KeyError(word)", "ValueError(word)", "ValueError(json.dumps(word))"])
def test_a_secret_of_several_lines_is_hidden_however_a_message_has_it(
    problems: Problems, site: Site, raised: str
) -> None:
    parts = site.path / "pager_parts.py"
    code = f"word = token.get_secret_value(); raise {raised}"
    text = parts.read_text(encoding="utf-8").replace("json.loads(token.get_secret_value())", code)
    parts.write_text(text, encoding="utf-8")
    account = ACCOUNT.format("a", "garbled").replace('"canary-of-a"', '{ env = "KEY" }')

    [problem] = problems(account, KEY='-- "canary" --\n  it\'s ä\n-- end --\n')

    assert "Error: " in problem
    assert "***" in problem
    assert "canary" not in problem


def test_a_plugin_that_is_broken_stops_a_configuration_that_names_it_and_only_that(
    kit_of: KitOf, problems: Problems, site: Any
) -> None:
    site.plugin("wreck", "raise RuntimeError('on a reef')")

    assert kit_of("") is not None
    assert kit_of("[plugins.wreck]\nrequired = false\n") is not None
    assert problems("[plugins.wreck]\n") == ["1 plugins.wreck: the plugin does not work, it is IMPORT_ERROR"]


def test_a_component_of_a_broken_plugin_is_told_with_the_state_of_the_plugin(problems: Problems, site: Any) -> None:
    site.plugin("wreck", "raise RuntimeError('on a reef')")

    [problem] = problems('[channels.a]\nuse = "wreck"\n')

    assert problem.startswith("2 channels.a.use: no component of kind 'channel' is named 'wreck'")
    assert "IMPORT_ERROR" in problem
    assert "on a reef" in problem


def test_a_component_that_several_plugins_offer_has_to_be_named_with_its_plugin(
    kit_of: KitOf, problems: Problems, site: Any
) -> None:
    announce = 'yield Component("channel", "bot", "roomkit_core.builtin.bot:BotChannel")'
    site.plugin("twin", f"@hookimpl\ndef roomkit_components():\n    {announce}\n")

    [problem] = problems('[channels.a]\nuse = "bot"\n')
    assert problem.startswith("2 channels.a.use: 'bot' can be any of several components")
    assert kit_of('[channels.a]\nuse = "twin:bot"\n').get_channel("a") is not None


def test_a_variable_that_leads_nowhere_is_a_mistake(problems: Problems) -> None:
    assert problems(SUPPORT, ROOMKIT_CHANNELS__SUPPORT__NUMBER__X="1") == [
        "None : there is something else than a table on the way to it"
    ]
    assert problems("", ROOMKIT_CHANELS__A__USE="bot") == ["None chanels: there is no such section"]


def test_a_store_of_secrets_that_needs_itself_is_a_mistake(problems: Problems) -> None:
    found = problems('[secrets.safe]\nuse = "vault"\nkey = { safe = "x" }\n')

    assert "1 secrets.safe: it is a part of itself" in found
