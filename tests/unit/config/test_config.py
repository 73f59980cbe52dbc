"""Configuration: what comes from where, and errors that name file, key, what was found, what is allowed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from tickrouter.config import DEFAULT_FILE, FILE_VARIABLE, Config, find_config, load_config
from tickrouter.errors import ConfigError

ROOT = Path(__file__).parents[3]
VARIABLES = ("REDIS_URL", "ORDERS_REDIS_URL", "MONGO_URL", FILE_VARIABLE)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def written(folder: Path, **changes: object) -> Path:
    """The packaged configuration with changes at its top level."""
    fields = yaml.safe_load((ROOT / "configs/tickrouter.yaml").read_text())
    fields["venues"]["btcturk"]["card"] = str(ROOT / "configs/venues/btcturk.yaml")
    file = folder / "tickrouter.yaml"
    file.write_text(yaml.safe_dump(fields | changes))
    return file


def refusal(folder: Path, **changes: object) -> str:
    file = written(folder, **changes)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_the_packaged_configuration_is_valid() -> None:
    config = load_config(ROOT / "configs/tickrouter.yaml")
    assert config.record.contracts == ("btcturk/btc.usdt", "btcturk/eth.usdt", "btcturk/btc.try")
    assert config.accounts["btcturk/main"].mode == "paper"
    assert config.accounts["btcturk/main"].risk.max_notional["usdt"] == Decimal(100000)
    assert config.card("btcturk").hosts.public == "https://api.btcturk.com"
    assert not config.is_local("btcturk")


def test_paths_count_from_the_files_folder(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, data="here"))
    assert config.data_folder == (tmp_path / "here").resolve()


def test_contracts_are_taken_in_any_form_and_made_canonical(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, record={"contracts": ["btc.try:xtc.btcturk", "BTCTURK/eth.usdt"]}))
    assert config.record.contracts == ("btcturk/btc.try", "btcturk/eth.usdt")


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(written(tmp_path, servers={"redis_url": "redis://file:1/0", "mongo_url": "mongodb://file"}))
    assert (config.redis_url, config.orders_redis_url) == ("redis://file:1/0", "redis://file:1/0")
    monkeypatch.setenv("REDIS_URL", "redis://env:2/0")
    monkeypatch.setenv("MONGO_URL", "mongodb://env")
    assert (config.redis_url, config.orders_redis_url, config.mongo_url) == (
        "redis://env:2/0",
        "redis://env:2/0",
        "mongodb://env",
    )
    monkeypatch.setenv("ORDERS_REDIS_URL", "redis://orders:3/0")
    assert config.orders_redis_url == "redis://orders:3/0"


def test_other_hosts_replace_the_cards(tmp_path: Path) -> None:
    venues = {
        "btcturk": {
            "card": str(ROOT / "configs/venues/btcturk.yaml"),
            "hosts": {"private": "http://127.0.0.1:8000", "public": "http://127.0.0.1:8000"},
        }
    }
    config = load_config(written(tmp_path, venues=venues))
    assert config.is_local("btcturk")
    assert config.card("btcturk").hosts.socket == "wss://ws-feed-pro.btcturk.com"


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    assert "acounts: no such key here" in refusal(tmp_path, acounts={})


def test_a_nested_key_is_named_with_what_was_found_and_what_is_allowed(tmp_path: Path) -> None:
    text = refusal(tmp_path, streams={"tick": 0}, log_level="loud")
    assert "streams.tick: input should be greater than 0; found 0" in text
    assert "log_level: input should be 'debug', 'info', 'warning' or 'error'; found 'loud'" in text


def test_a_wrong_type_is_named(tmp_path: Path) -> None:
    text = refusal(tmp_path, record={"levels": "many"})
    assert "record.levels: input should be a valid integer" in text
    assert "found 'many'" in text


@pytest.mark.parametrize("name", ["btcturk", "Btcturk/main", "btcturk/main/x"])
def test_a_wrong_account_is_named(tmp_path: Path, name: str) -> None:
    assert repr(name) in refusal(tmp_path, accounts={name: {}})


def test_a_wrong_contract_is_named(tmp_path: Path) -> None:
    assert "'btcturk/btctry' is not one of" in refusal(tmp_path, record={"contracts": ["btcturk/btctry"]})


def test_a_venue_that_is_not_configured_is_named(tmp_path: Path) -> None:
    text = refusal(tmp_path, accounts={"btcc/main": {}})
    assert "btcc/main: its venue 'btcc' is not among venues: btcturk" in text


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, venues={"btcturk": {"card": "nowhere.yaml"}})
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_config(file)


def test_no_yaml_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "tickrouter.yaml"
    file.write_text("a: [1")
    with pytest.raises(ConfigError, match="is no YAML"):
        load_config(file)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run `tickrouter init`"):
        load_config(tmp_path / "none.yaml")


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="tickrouter init"):
        find_config()
    (tmp_path / "configs").mkdir()
    (tmp_path / DEFAULT_FILE).touch()
    assert find_config() == Path(DEFAULT_FILE)
    (tmp_path / "tickrouter.yaml").touch()
    assert find_config() == Path("tickrouter.yaml")
    monkeypatch.setenv(FILE_VARIABLE, "elsewhere.yaml")
    assert find_config() == Path("elsewhere.yaml")
    assert find_config(Path("given.yaml")) == Path("given.yaml")


def test_an_unknown_venue_is_answered_with_those_there_are(tmp_path: Path) -> None:
    config = load_config(written(tmp_path))
    with pytest.raises(ConfigError, match="no venue 'btcc'; there are: btcturk"):
        config.card("btcc")


def test_defaults_need_no_file() -> None:
    config = Config()
    assert config.redis_url == "redis://127.0.0.1:6379/0"
    assert config.servers.mongo_database == "tickrouter"
