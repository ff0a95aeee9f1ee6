"""Help, and what is wrong with a command line: exit code 2, one line, the next step."""

from __future__ import annotations

import json
import re

import pytest
from terminal import PLANTED, run

from portarchive import __version__
from portarchive.cli import arguments, main, verbs
from portarchive.errors import ExitCode

GOOD = "imaps://jane@imap.example.org"


@pytest.fixture
def say(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")

    def speak(*words):
        code = main(words)
        out, err = capsys.readouterr()
        assert PLANTED not in out + err
        return code, out, err

    return speak


def test_version(say):
    assert say("--version") == (0, f"portarchive {__version__}\n", "")


def test_help_names_all_verbs_and_exit_codes(say):
    code, out, err = say("--help")
    assert (code, err) == (0, "")
    for verb in verbs.VERBS:
        assert f"  {verb.name} " in out
        assert verb.help in out
    for number, words in verbs.EXIT_CODES:
        assert re.search(rf"^  {number} +{re.escape(words)}$", out, re.MULTILINE)
    assert say("-h")[:2] == (0, out)


def test_published_exit_codes_are_those_of_the_errors():
    published = {number for number, _ in verbs.EXIT_CODES}
    assert published == {code.value for code in ExitCode}


@pytest.mark.parametrize("verb", verbs.VERBS, ids=lambda verb: verb.name)
def test_help_of_each_verb(say, verb):
    code, out, err = say(verb.name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: portarchive {verb.name} ")
    assert verb.help[:-1].split("; ")[0] in " ".join(out.split())
    assert all(len(line) <= 100 for line in out.splitlines())
    assert not re.search(r"<str>|<list|\[required\]|None", out)


def test_help_of_export_is_grouped(say):
    out = say("export", "--help")[1]
    heads = re.findall(r"^(\S.*):$", out, re.MULTILINE)
    assert heads[:6] == [
        "Arguments",
        "What is written",
        "Which folders and messages",
        "How to get in",
        "What the archive says of itself",
        "Output",
    ]
    for option in OPTIONS.split():
        assert re.search(rf"^  (-\w, )?{option}\b", out, re.MULTILINE), option


def test_no_command_shows_the_help_on_stderr(say):
    code, out, err = say()
    assert (code, out) == (2, "")
    assert "Commands:" in err


OPTIONS = """
    --mirror --single-copy --keep-drafts --check --dry-run --accept-source-change
    --change-selection --no-fsync --connections --ca-file --tls --allow-cleartext --auth
    --password-command --token-command --timeout --folder --exclude --role --since-date
    --before-date --min-size --max-size --keyword --namespace --name --note --legal --language
    --timezone --archive-id --max-wait --budget --json --progress --verbose --quiet
"""

BAD = [
    ["exprt"],
    ["--colour"],
    ["import", "x"],
    ["export"],
    ["export", GOOD],
    ["export", GOOD, "a", "b"],
    ["export", GOOD, "a", "--password", "x"],
    ["export", GOOD, "a", "--folder"],
    ["export", "jane@imap.example.org", "a"],
    ["export", f"imaps://jane:{PLANTED}@imap.example.org", "a"],
    ["export", "a", f"imaps://jane:{PLANTED}@imap.example.org"],
    ["export", GOOD, f"imaps://jane:{PLANTED}@imap.example.org"],
    ["export", GOOD, "a", f"imaps://jane:{PLANTED}@imap.example.org"],
    [f"imaps://jane:{PLANTED}@imap.example.org", "a"],
    ["export", GOOD, "a", "--tls", f"imaps://jane:{PLANTED}@imap.example.org"],
    ["export", "https://imap.example.org", "a"],
    ["export", "jmap://jane@example.org", "a"],
    ["export", "maildir:", "a"],
    ["export", "imap://jane@imap.example.org?tls=none", "a"],
    ["export", "imap://jane@imap.example.org", "a", "--tls", "none"],
    ["export", GOOD, "a", "--tls", "none"],
    ["export", GOOD, "mail.pdpa"],
    ["export", GOOD, "mail.tar.zst"],
    ["export", GOOD, ""],
    ["export", GOOD, "a", "--connections", "0"],
    ["export", GOOD, "a", "--connections", "many"],
    ["export", GOOD, "a", "--timeout", "0"],
    ["export", GOOD, "a", "--max-wait", "-1"],
    ["export", GOOD, "a", "--ca-file", "/nowhere/ca.pem"],
    ["export", GOOD, "a", "--ca-file", "/"],
    ["export", GOOD, "a", "--since-date", "yesterday"],
    ["export", GOOD, "a", "--since-date", "2024-02-30"],
    ["export", GOOD, "a", "--since-date", "2024-02-01", "--before-date", "2024-02-01"],
    ["export", GOOD, "a", "--min-size", "big"],
    ["export", GOOD, "a", "--max-size", "1.5M"],
    ["export", GOOD, "a", "--min-size", "2M", "--max-size", "1M"],
    ["export", GOOD, "a", "--role", "boss"],
    ["export", GOOD, "a", "--folder", ""],
    ["export", GOOD, "a", "--exclude", "/"],
    ["export", GOOD, "a", "--folder", "a\r\nb"],
    ["export", GOOD, "a", "--keyword", "two words"],
    ["export", GOOD, "a", "--keyword", "a\r\nb"],
    ["export", GOOD, "a", "--namespace", "mine"],
    ["export", GOOD, "a", "--progress", "loud"],
    ["export", GOOD, "a", "--language", "German, please"],
    ["export", GOOD, "a", "--timezone", "../../etc/passwd"],
    ["export", GOOD, "a", "--archive-id", "1"],
    ["export", GOOD, "a", "--auth", "NTLM"],
    ["export", GOOD, "a", "--auth", "XOAUTH2"],
    ["export", GOOD, "a", "--token-command", "true", "--password-command", "true"],
    ["export", GOOD, "a", "--token-command", "'unclosed"],
    ["export", GOOD, "a", "--password-command", "/nowhere/pass"],
    ["export", GOOD, "a"],  # no password, no terminal
    ["info"],
    ["info", "a", "b"],
    ["info", "imaps://jane@imap.example.org"],
    ["ls", "a", "--kept", "--missing"],
    ["demo", "x"],
    ["demo", "--into", "x.zip"],
    ["demo", "--progress", "loud"],
]  # fmt: skip


@pytest.fixture
def _nobody_there(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.delenv("PORTARCHIVE_PASSWORD", raising=False)
    monkeypatch.delenv("PORTARCHIVE_SOURCE_PASSWORD", raising=False)


@pytest.mark.parametrize("words", BAD, ids=" ".join)
@pytest.mark.usefixtures("_nobody_there")
def test_wrong_usage(say, words, tmp_path):
    code, out, err = say(*words)
    assert (code, out) == (2, "")
    error, hint = err.splitlines()
    assert error.startswith("error: ")
    assert len(error) < 160
    assert hint.startswith("hint: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [BAD[0], BAD[3], BAD[9], BAD[35]], ids=" ".join)
@pytest.mark.parametrize("flags", [["--json"], ["--progress", "json"], ["--progress=json"]])
def test_with_json_an_error_is_one_object(say, words, flags):
    code, out, err = say(*words, *flags)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert list(json.loads(line)) == ["code", "message", "hint"]


@pytest.mark.parametrize(
    ("zone", "meant"),
    [
        ("Europe/Viena", "Europe/Vienna"),
        ("europe/vienna", "Europe/Vienna"),
        ("Mars/Olympus_Mons", "Europe/Vienna"),
        ("CEST5", ""),
    ],
)
def test_a_time_zone_that_there_is_not(say, monkeypatch, zone, meant):
    monkeypatch.setenv("PORTARCHIVE_PASSWORD", "x")
    code, out, err = say("export", GOOD, "a", "--timezone", zone)
    assert (code, out) == (2, "")
    error, hint = err.splitlines()
    assert error == f"error: there is no time zone '{zone}'"
    assert hint.startswith(f"hint: write it like this: --timezone {meant}")


def test_time_zones_that_there_are(monkeypatch):
    for zone in ("Europe/Vienna", "UTC", "Etc/GMT+8", "America/Argentina/Buenos_Aires", None):
        assert arguments.timezone(zone) == zone
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    assert arguments.timezone("Europe/Atlantis") == "Europe/Atlantis", "no database, no judgement"


def test_a_source_epoch_that_is_none(say, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    monkeypatch.setenv("PORTARCHIVE_PASSWORD", "x")
    assert say("export", GOOD, "a")[0] == 2


def test_a_bug_is_told_with_a_traceback_and_no_secret(say, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError(f"imaps://jane:{PLANTED}@h \x1b[31mred")

    monkeypatch.setattr("portarchive.cli.order.parse_source", broken)
    code, out, err = say("export", GOOD, "a")
    assert (code, out) == (70, "")
    assert "Traceback" in err
    assert "\x1b" not in err
    assert err.splitlines()[-1].startswith("hint: please report")
    code, _, err = say("export", GOOD, "a", "--json")
    assert json.loads(err.splitlines()[-1])["code"] == "bug"


def test_the_module_runs_too():
    assert run("--version").out == f"portarchive {__version__}\n"
