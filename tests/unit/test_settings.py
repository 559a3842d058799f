import json
import os
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scicat_retriever.ledger.database.connection import ledger_url
from scicat_retriever.settings import Settings, SettingsInvalid, load_settings, sections_of
from scicat_retriever.settings.page import effective, reference
from scicat_retriever.settings.sections import LedgerSettings
from scicat_retriever.storage.staging.directory.settings import DirectoryStagingSettings
from scicat_retriever.storage.staging.s3.settings import S3StagingSettings

TOKEN, PASSWORD = "a-token-of-the-tests", "a-password-of-the-tests"
KEY, API_KEY = "a-link-key-of-the-tests-32-chars-long", "an-api-key-of-the-tests"
DATABASE = "postgresql+psycopg://retriever:hidden-word@db/retriever"
SECRETS = (TOKEN, PASSWORD, KEY, API_KEY, "hidden-word")
LEAST = f"""
[api]
tokens = ["{TOKEN}"]
[catalogue]
url = "https://scicat.example.org"
username = "retriever"
password = "{PASSWORD}"
[lts]
root = "/lts"
[staging]
root = "/staging"
"""
MORE = f"""
[engine]
api_key = "{API_KEY}"
keys = ["{KEY}"]
[ledger]
url = "{DATABASE}"
[links]
secret = "{KEY}"
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.upper().startswith("RETRIEVER_"):
            monkeypatch.delenv(variable)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "retriever.toml"
    path.write_text(LEAST + MORE)
    return path


def load(folder: Path, text: str, **overrides: object) -> Settings:
    path = folder / "some.toml"
    path.write_text(text)
    return load_settings(path, **overrides)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsInvalid) as refused:
        load(folder, text)
    assert not any(secret in str(refused.value) for secret in SECRETS)
    return str(refused.value)


def test_the_least_that_must_be_set_is_enough(tmp_path: Path) -> None:
    settings = load(tmp_path, LEAST)
    assert settings.api.base_url == "http://127.0.0.1:8080"
    assert settings.ledger_url == f"sqlite:///{Path('retriever-data').absolute()}/ledger.sqlite"


def test_an_empty_file_is_told_each_section_that_is_missing_and_what_to_set_first(tmp_path: Path) -> None:
    lines = refusal(tmp_path, "").splitlines()
    for section, key in {"api": "token", "catalogue": "url", "lts": "root", "staging": "root"}.items():
        variable = f"RETRIEVER_{section.upper()}__{key.upper()}"
        begin = f"  the section [{section}] is missing: set {key} in it, or {variable} in the environment"
        assert [line for line in lines if line.startswith(begin)]


def test_a_missing_section_that_has_kinds_is_told_which(tmp_path: Path) -> None:
    said = "it is of kind posix unless you set kind to s3_glacier, wlcg_tape or command"
    assert said in refusal(tmp_path, "")


@pytest.mark.parametrize(
    ("remove", "named"),
    [
        (
            f'tokens = ["{TOKEN}"]',
            "api.token is missing: set it in retriever.toml, or RETRIEVER_API__TOKEN in",
        ),
        ('url = "https://scicat.example.org"', "catalogue.url is missing"),
        ('root = "/lts"', "lts.root is missing"),
        ('root = "/staging"', "staging.root is missing"),
    ],
)
def test_a_missing_key_is_named(tmp_path: Path, remove: str, named: str) -> None:
    assert remove in LEAST
    assert named in refusal(tmp_path, LEAST.replace(remove, ""))


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("[nonsense]\na = 1", "nonsense"),
        ("[flow]\nread_slot = 1", "flow.read_slot"),
        ("[links]\nsecrets = 'x'", "links.secrets"),
        ("[engine]\nadress = 'h:1'", "engine.adress"),
    ],
)
def test_an_unknown_key_is_named(tmp_path: Path, more: str, key: str) -> None:
    assert f"{key} is no setting: remove it, or correct its name" in refusal(tmp_path, LEAST + more)


@pytest.mark.parametrize("section", ["api", "catalogue", "lts", "staging"])
def test_an_unknown_key_of_each_required_section_is_named(tmp_path: Path, section: str) -> None:
    assert f"{section}.nonsense is no setting" in refusal(
        tmp_path, LEAST.replace(f"[{section}]", f"[{section}]\nnonsense = '{PASSWORD}'")
    )


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("[flow]\nread_slots = 0", "flow.read_slots"),
        ("[flow]\nmissing_checksum = 'ignore'", "flow.missing_checksum"),
        ("[flow]\nduplicate_members = 'first'", "flow.duplicate_members"),
        (
            "[flow]\npass_over = ['*']",
            "flow.pass_over: a pattern of `pass_over` must not be empty or fit every name",
        ),
        ("[flow]\npass_over = ['']", "flow.pass_over"),
        (
            "[flow]\nalso_hash = ['sha256', 'md6']",
            "flow.also_hash: unknown checksum algorithm",
        ),
        (
            "[flow]\nalso_hash = ['md5', 'sha1', 'sha256', 'sha512', 'crc32']",
            "flow.also_hash: 4 algorithms are the most",
        ),
        (
            "[flow]\nunnamed_algorithm = 'md6'",
            "flow.unnamed_algorithm: unknown checksum algorithm",
        ),
        ("[flow]\njob_timeout = inf", "flow.job_timeout"),
        ("[flow]\njob_timeout = nan", "flow.job_timeout"),
        ("[flow]\njob_timeout = 1e300", "flow.job_timeout"),
        ("[flow]\nstall_timeout = 0", "flow.stall_timeout"),
        ("[flow]\nread_slots = 'many'", "flow.read_slots must be a whole number\n"),
        ("[flow]\njob_timeout = '2h'", "flow.job_timeout must be a number; durations are seconds\n"),
        ("[cache.quotas]\nbeamline = '10TB'", "cache.quotas.beamline must be a number of bytes, such as 10_"),
        (
            "[engine]\naddress = 'no-port'",
            "engine.address: String should match pattern '^[^\\s/:]+:\\d+$' (`host:port` of an existing Temporal)",
        ),
        ("[engine]\nui_port = 99999", "engine.ui_port"),
        ("[engine]\nkeys = ['short']", "engine.keys.0"),
        ("[links]\nsecret = 'short'", "links.secret"),
        ("[links]\nretention = 1", "links.retention must not be shorter than `lifetime`: links would"),
        ("[ledger]\nurl = 5", "ledger.url"),
    ],
)
def test_a_wrong_value_is_named_by_its_key(tmp_path: Path, more: str, key: str) -> None:
    assert f"  {key}" in refusal(tmp_path, LEAST + more) + "\n"


def test_what_is_no_section_is_told(tmp_path: Path) -> None:
    said = refusal(tmp_path, "flow = 5\nstaging = 's3'\n" + LEAST.partition("[staging]")[0])
    assert "  flow is a section: write its keys below [flow]" in said.splitlines()
    assert '  staging is a section: write { kind = "s3" }' in said.splitlines()


@pytest.mark.parametrize(
    "tokens",
    [
        "[]",
        "['short']",
        "['fifteen-letters']",
        "['with a blank in it']",
        "['line-break-at-end\\n']",
        "['ünïcödé-is-no-token']",
    ],
)
def test_a_token_that_no_request_can_bear_or_anyone_can_guess_is_refused(tmp_path: Path, tokens: str) -> None:
    tokens = tokens.replace("'", '"')
    message = refusal(tmp_path, LEAST.replace(f'["{TOKEN}"]', tokens))
    assert "api" in message
    assert not any(token in message for token in tokens.strip('[]"').split('"') if token)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, LEAST + "[flow]\nread_slots = 0\nnonsense = 1\n[nonsense]")
    assert {"flow.read_slots", "flow.nonsense", "nonsense"} <= {
        line.split()[0].strip(":") for line in message.splitlines()
    }


@pytest.mark.parametrize("content", [b"[api", b"a = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsInvalid, match=r"bad\.toml is not valid TOML"):
        load_settings(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"none\.toml cannot be read: No such file"):
        load_settings(tmp_path / "none.toml")


def test_the_file_in_the_working_folder_is_read_unless_another_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    assert load_settings().catalogue.username == "retriever"


def test_without_any_file_the_environment_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable, value in {
        "API__TOKENS": f'["{TOKEN}"]',
        "CATALOGUE__URL": "https://scicat.example.org",
        "CATALOGUE__TOKEN": "a-long-lived-token",
        "LTS__ROOT": "/lts",
        "STAGING__ROOT": "/staging",
    }.items():
        monkeypatch.setenv(f"RETRIEVER_{variable}", value)
    assert load_settings().api.tokens[0].get_secret_value() == TOKEN


def test_the_environment_wins_over_the_file_key_by_key(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(LEAST + "[flow]\nread_slots = 2\nparallel_datasets = 3\n")
    monkeypatch.setenv("RETRIEVER_FLOW__READ_SLOTS", "9")
    monkeypatch.setenv("retriever_log_level", "debug")
    monkeypatch.setenv("RETRIEVER_API__TOKENS", '["another-token-of-the-tests"]')
    settings = load_settings(file)
    assert (settings.flow.read_slots, settings.flow.parallel_datasets) == (9, 3)
    assert settings.log_level == "debug"
    assert [token.get_secret_value() for token in settings.api.tokens] == ["another-token-of-the-tests"]


@given(st.text(st.characters(exclude_characters="/\0", max_codepoint=0xDCFF), min_size=1, max_size=40))
@example("p%20x")
@example("a?mode=ro#b")
@example("\udcff")
def test_whatever_a_folder_is_called_the_ledger_is_in_it(name: str) -> None:
    try:
        data = Path("/srv") / os.fsdecode(os.fsencode(name))
    except UnicodeEncodeError:  # half a surrogate pair is no name of a file
        return
    settings = Settings.model_construct(data=data, ledger=LedgerSettings())
    assert ledger_url(settings.ledger_url).database == str(data / "ledger.sqlite")


def test_the_command_line_wins_over_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRIEVER_DATA", "/environment")
    assert load_settings(file).data == Path("/environment")
    assert load_settings(file, data=Path("/command-line")).data == Path("/command-line")


@pytest.mark.parametrize(
    "variable",
    [
        "RETRIEVER_NONSENSE",
        "RETRIEVER_FLOW_READ_SLOTS",
        "RETRIEVER_DATA__X",
        "RETRIEVER_CONFIG__X",
        "retriever_x",
    ],
)
def test_a_variable_that_names_no_setting_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, PASSWORD)
    with pytest.raises(
        SettingsInvalid, match=f"the environment variable {variable} names no setting"
    ) as refused:
        load_settings(file)
    assert PASSWORD not in str(refused.value)


def test_a_variable_that_names_no_key_of_its_section_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVER_FLOW__NONSENSE", "1")
    with pytest.raises(SettingsInvalid, match=r"flow\.nonsense is no setting"):
        load_settings(file)


@pytest.mark.parametrize(
    "variable", ["RETRIEVER_API__TOKENS", "RETRIEVER_JOB_TYPES", "RETRIEVER_API", "RETRIEVER_FLOW"]
)
def test_a_variable_that_must_be_json_and_is_not_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, PASSWORD)
    with pytest.raises(SettingsInvalid, match=f"{variable} must be JSON") as refused:
        load_settings(file)
    assert PASSWORD not in str(refused.value)


def test_a_section_that_may_be_left_out_is_made_by_its_variables(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(file).broker is None
    monkeypatch.setenv("RETRIEVER_BROKER__URL", f"amqp://retriever:{PASSWORD}@rabbit")
    monkeypatch.setenv("RETRIEVER_BROKER__PREFETCH", "7")
    broker = load_settings(file).broker
    assert broker is not None
    assert (broker.queue, broker.prefetch) == ("retriever.jobs", 7)


def test_a_section_that_may_be_left_out_and_is_begun_must_be_complete(tmp_path: Path) -> None:
    message = refusal(tmp_path, LEAST + '[broker]\nqueue = "retriever.jobs"')
    assert "broker.url is missing: set it in retriever.toml, or RETRIEVER_BROKER__URL" in message


def test_the_password_of_the_broker_is_never_shown(tmp_path: Path) -> None:
    settings = load(tmp_path, LEAST + f'[broker]\nurl = "amqp://retriever:{PASSWORD}@rabbit"')
    for shown in (effective(settings), repr(settings), settings.model_dump_json()):
        assert PASSWORD not in shown


def test_the_variable_that_names_the_file_is_no_setting(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRIEVER_CONFIG", "/somewhere/retriever.toml")
    load_settings(file)


def test_links_begin_with_the_public_url(tmp_path: Path) -> None:
    public = LEAST.replace("[api]", '[api]\npublic_url = "https://data.example.org/retriever/"')
    assert load(tmp_path, public).api.base_url == "https://data.example.org/retriever"


@pytest.mark.parametrize(
    ("host", "links", "local"),
    [
        ("::1", "http://[::1]:8080", "http://[::1]:8080"),
        ("fe80::1%eth0", "http://[fe80::1%25eth0]:8080", "http://[fe80::1%25eth0]:8080"),
        ("::", "https://data.example.org", "http://[::1]:8080"),
        ("0.0.0.0", "https://data.example.org", "http://127.0.0.1:8080"),
        ("retriever.example.org", "http://retriever.example.org:8080", "http://retriever.example.org:8080"),
    ],
)
def test_addresses_are_written_as_urls_have_them(tmp_path: Path, host: str, links: str, local: str) -> None:
    public = 'public_url = "https://data.example.org"\n' if links.startswith("https") else ""
    api = load(tmp_path, LEAST.replace("[api]", f'[api]\nhost = "{host}"\n{public}')).api
    assert (api.base_url, api.local_url) == (links, local)


def test_secrets_are_never_shown(file: Path) -> None:
    settings = load_settings(file)
    for shown in (
        effective(settings),
        repr(settings),
        str(settings),
        str(settings.model_dump()),
        settings.model_dump_json(),
    ):
        assert not any(secret in shown for secret in SECRETS)
    assert settings.ledger_url == DATABASE


def with_secrets(text: str) -> dict[str, Any]:
    """The settings in effect as they are printed, with the secrets put back by hand."""
    values = tomllib.loads(text)
    values["api"]["tokens"] = [TOKEN]
    values["catalogue"]["password"] = PASSWORD
    assert values["engine"]["keys"] == ["**********"]
    values["engine"]["keys"] = [KEY]
    for section, key, secret in (
        ("engine", "api_key", API_KEY),
        ("ledger", "url", DATABASE),
        ("links", "secret", KEY),
    ):
        assert values[section][key] == "**********"
        values[section][key] = secret
    return values


def test_what_is_printed_can_be_loaded_again(file: Path) -> None:
    settings = load_settings(file)
    again = Settings(**with_secrets(effective(settings)))
    assert again.model_dump() == settings.model_dump()


@example('\x7f\x00\u2028"\\', 0.1)
@given(st.text(st.characters(codec="utf-8")), st.floats(1e-9, 3e8))
def test_any_value_that_is_printed_is_read_as_the_same(text: str, seconds: float) -> None:
    base = {"url": "https://s.example.org", "token": "a-long-lived-token"}
    settings = Settings(
        data=Path("data") / "x",
        api={"host": text, "tokens": [TOKEN]},
        catalogue=base,
        lts={"root": "/lts"},
        staging={"root": "/staging"},
        flow={"stall_timeout": seconds},
    )
    printed = tomllib.loads(effective(settings))
    assert printed["api"]["host"] == text
    assert printed["flow"]["stall_timeout"] == seconds


def test_what_is_not_set_is_said(tmp_path: Path) -> None:
    assert "# public_url is not set" in effective(load(tmp_path, LEAST)).splitlines()


def test_the_reference_says_when_changes_take_effect() -> None:
    assert "Changes take effect at the next start." in reference().partition("## At the top")[0]


def test_the_reference_names_every_key_with_its_meaning() -> None:
    page = reference()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert all(len(row.split(" | ")[-1]) > len("x |") for row in rows)
    for name, field in Settings.model_fields.items():
        sections = sections_of(field)
        if not sections:
            assert f"| `{name}` |" in page
        for section, part in zip(sections, page.split(f"## [{name}]")[1:], strict=True):
            keys = [
                line.split("`")[1] for line in part.split("\n## ")[0].splitlines() if line.startswith("| `")
            ]
            assert keys == list(section.model_fields)


S3 = LEAST.replace('root = "/staging"', 'kind = "s3"\nbucket = "retriever-staging"\ncapacity_bytes = 1_000')


def test_staging_is_a_directory_where_no_kind_is_named(tmp_path: Path) -> None:
    assert isinstance(load(tmp_path, LEAST).staging, DirectoryStagingSettings)
    assert isinstance(load(tmp_path, S3).staging, S3StagingSettings)


def test_the_key_of_the_s3_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVER_STAGING__ACCESS_KEY_ID", "id-of-the-key")
    monkeypatch.setenv("RETRIEVER_STAGING__SECRET_ACCESS_KEY", "a-secret-of-the-s3")
    monkeypatch.setenv("RETRIEVER_STAGING__TAGS", '{"project": "scicat"}')
    settings = load(tmp_path, S3)
    assert isinstance(settings.staging, S3StagingSettings)
    assert settings.staging.secret_access_key is not None
    assert settings.staging.secret_access_key.get_secret_value() == "a-secret-of-the-s3"
    assert tomllib.loads(effective(settings))["staging"]["tags"] == {"project": "scicat"}
    assert "a-secret-of-the-s3" not in effective(settings) + repr(settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (S3.replace("bucket =", "buckett ="), ["staging.bucket is missing", "staging.buckett is no setting"]),
        (S3.replace("capacity_bytes = 1_000", ""), ["RETRIEVER_STAGING__CAPACITY_BYTES"]),
        (S3.replace('"s3"', '"tape"'), ["  staging.kind must be directory or s3"]),
        (S3.replace('"s3"', '["s3"]'), ["  staging.kind must be directory or s3"]),
        (S3.replace('kind = "s3"', 'root = "/staging"'), ["staging.bucket is no setting"]),
        (LEAST.replace("[staging]", "[stagging]"), ["the section [staging] is missing"]),
        (LEAST + "[cache]\nevict_above = 0.5\n", ["  cache.evict_to must not be above `evict_above`"]),
        (S3 + "[cache]\nspared = 1\n", ["  cache.spared must not be shorter than `staging.url_lifetime`"]),
    ],
)
def test_what_is_wrong_with_a_kind_of_staging_is_named(tmp_path: Path, text: str, said: list[str]) -> None:
    refused = refusal(tmp_path, text)
    assert all(words in refused for words in said)


NAMED = """
[[api.token]]
name = "scicat"
token = "a-token-that-has-a-name"
scope = ["intake"]
[[api.token]]
name = "operator"
token = "another-token-with-a-name"
scope = ["operate", "read"]
expires = 2027-12-31T23:59:59Z
"""
WITHOUT_TOKENS = LEAST.replace(f'tokens = ["{TOKEN}"]', "")


def with_named(text: str = NAMED) -> str:
    return WITHOUT_TOKENS.replace("[catalogue]", f"{text}\n[catalogue]")


def test_tokens_have_names_scopes_and_an_end(tmp_path: Path) -> None:
    scicat, operator = load(tmp_path, with_named()).api.all_tokens
    assert (scicat.name, scicat.secret, scicat.expires) == ("scicat", "a-token-that-has-a-name", None)
    assert (set(scicat.scopes), set(operator.scopes)) == ({"intake"}, {"operate", "read"})
    assert operator.expires == datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_the_old_list_of_tokens_may_post_and_read(tmp_path: Path) -> None:
    [token] = load(tmp_path, LEAST).api.all_tokens
    assert (token.secret, set(token.scopes), token.of_old_list) == (TOKEN, {"intake", "read"}, True)


def test_named_tokens_are_not_shown_and_what_is_printed_is_toml(tmp_path: Path) -> None:
    printed = effective(load(tmp_path, with_named()))
    assert "with-a-name" not in printed
    assert "has-a-name" not in printed
    assert [each["name"] for each in tomllib.loads(printed)["api"]["token"]] == ["scicat", "operator"]


def test_named_tokens_are_set_in_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = [{"name": "scicat", "token": "a-token-that-has-a-name", "scope": ["intake"]}]
    monkeypatch.setenv("RETRIEVER_API__TOKEN", json.dumps(named))
    assert [token.name for token in load(tmp_path, WITHOUT_TOKENS).api.all_tokens] == ["scicat"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "scicat"\n', "", "api.token.0.name is missing: set it in retriever.toml, or RETRIEVER_API__TOKEN in"),
        ('name = "operator"', 'name = "scicat"', "api.token must not have the same name or the same token twice: scicat\n"),
        ("another-token-with-a-name", "a-token-that-has-a-name", "api.token must not have the same name or the same token twice: scicat, operator\n"),
        ('scope = ["intake"]', "scope = []", "api.token.0.scope"),
        ('scope = ["intake"]', 'scope = ["admin"]', "api.token.0.scope"),
        ('scope = ["intake"]', 'scopes = ["intake"]', "api.token.0.scopes is no setting"),
        ("a-token-that-has-a-name", "short-token", "api.token.0.token: must be one word of at least 16"),
        ("2027-12-31T23:59:59Z", "2027-12-31T23:59:59", "api.token.1.expires"),
    ],
)  # fmt: skip
def test_a_named_token_that_cannot_be_used_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in NAMED
    message = refusal(tmp_path, with_named(NAMED.replace(old, new)))
    assert f"  {said}" in f"{message}\n"
    assert "at least 1 item" not in message or "[]" in new
    assert not any(token in message for token in ("a-token-that", "another-token", "short-token"))


def test_who_writes_one_section_for_the_list_of_tokens_is_told_how_to_write_it(tmp_path: Path) -> None:
    single = NAMED[: NAMED.rindex("[[api.token]]")].replace("[[api.token]]", "[api.token]")
    assert "api.token is a list of sections: write [[api.token]] above each" in refusal(
        tmp_path, with_named(single)
    )


def test_a_token_may_not_stand_in_both_lists(tmp_path: Path) -> None:
    both = LEAST.replace("[catalogue]", NAMED.replace("a-token-that-has-a-name", TOKEN) + "[catalogue]")
    assert "api.token must not have the same name or the same token twice" in refusal(tmp_path, both)
