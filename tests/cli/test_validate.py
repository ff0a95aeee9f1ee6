"""``validate``: for people, for programs, for scanners; what a code means; and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from jsonschema import Draft202012Validator
from schema_checks import EVENT, checker
from terminal import PATIENCE, run, start
from test_terminal import Screen

import portarchive
from portarchive.cli import main
from portarchive.cli.validate import report_of
from portarchive.cli.validate_sarif import sarif_of
from portarchive.cli.validate_view import explanation, grouped, near_codes, words_of
from portarchive.errors import ExitCode
from portarchive.validate.codes import Severity, all_codes, checkable
from portarchive.validate.report import KEPT, Report
from validating import (
    FOLDER,
    SECOND,
    at,
    chained,
    dumped,
    folder,
    good,
    item,
    partial,
    put,
    tarred,
    write,
    zipped,
)

VALIDATION = checker("urn:portarchive:schema:validation:1")


@pytest.fixture
def say(capsys):
    def speak(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out + err)
        return code, out, err

    return speak


@pytest.fixture
def sound(tmp_path):
    return write(chained(), tmp_path / "sound")


@pytest.fixture
def spoilt(tmp_path):
    """Errors, warnings and notes; one code twelve times, another in a file's middle."""
    files = good()
    items = [item(1), item(2), *({**item(1), "uid": str(number)} for number in range(100, 112))]
    at(FOLDER, "items", items)(files)
    at(FOLDER, "last_uid", 1000)(files)
    at("archive.json", "dataset/languagetag", "en_ca")(files)
    at("archive.json", "dataset/extent", "full")(files)
    put("notes/list.json", b'{\n "a": 1,\n "a" 2}')(files)
    return write(files, tmp_path / "spoilt")


# --- for people -----------------------------------------------------------------------------------


def test_a_sound_archive(say, sound):
    code, out, err = say("validate", sound)
    assert (code, err) == (0, "")
    about, verdict = out.splitlines()
    assert about.startswith(f"{sound}: ietf-02, 14 files (")
    assert ", 2 messages in 2 folders, fingerprint " in about
    assert verdict == "valid: 0 errors, 0 warnings, 0 notes (level deep)"


def test_the_most_severe_first_and_a_few_of_each(say, spoilt):
    code, out, err = say("validate", spoilt)
    assert (code, err) == (1, "")
    lines = out.splitlines()
    heads = [line for line in lines if re.match(r"(Errors|Warnings|Notes) \(", line)]
    assert [head.split()[0] for head in heads] == ["Errors", "Warnings", "Notes"]
    codes = re.findall(r"^  ([A-Z]-\d{3}[a-z]?) ", out, re.MULTILINE)
    rank = {code: list(Severity).index(all_codes()[code].severity) for code in codes}
    assert codes == sorted(codes, key=lambda code: (rank[code], code))
    begin = lines.index("  C-036b 12 times: Two items of a folder have the same file. [§6.3.1]")
    assert lines[begin + 1].startswith(f"         {FOLDER} /items/2/filename")
    assert lines[begin + 3].startswith(f"         {FOLDER} /items/4/filename")
    assert lines[begin + 4] == "         and 9 more"
    assert lines[begin + 5].startswith("         hint: ")
    assert re.search(r"^         notes/list\.json:3:\d+", out, re.MULTILINE)
    assert re.fullmatch(r"NOT VALID: \d+ errors, \d+ warnings?, \d+ notes? \(.*\)", lines[-1])


@pytest.mark.parametrize(("limit", "shown"), [("0", 0), ("1", 1), ("12", 12), ("1000", 12)])
def test_limit(say, spoilt, limit, shown):
    out = say("validate", spoilt, "--limit", limit)[1]
    assert len(re.findall(rf"^         {FOLDER} /items/\d+/filename", out, re.MULTILINE)) == shown
    assert f"and {12 - shown} more" in out if shown == 1 else " more" not in out
    assert "C-036b 12 times" in out


def test_numbers_are_in_the_order_of_numbers(say, spoilt):
    out = say("validate", spoilt, "--limit", "100")[1]
    numbers = re.findall(r"/items/(\d+)/filename", out)
    assert numbers == sorted(numbers, key=int)


def test_nothing_of_an_archive_drives_a_terminal(tmp_path, say):
    evil = "\x1b]0;title\x07\x9b31m\u202egnp\u2066\r\n\x7f"
    files = good()
    files["mail/E/folder.json"] = dumped(
        folder("E", "M9", [{**item(1), "filename": evil}], **{evil: 2**60})
    )
    files[f"mail/INBOX/{evil}"] = b""
    at("archive.json", "archive/version", evil)(files)
    path = write(files, tmp_path / f"x{evil}")
    code, out, err = say("validate", path)
    assert (code, err) == (1, "")
    assert "gnp" in out
    for form in (["--json"], ["--sarif"]):
        assert say("validate", path, *form)[1].isascii()


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_containers(say, tmp_path, pack):
    files = chained()
    path = pack(files, tmp_path / "archive")
    code, out, err = say("validate", path)
    assert (code, err) == (0, "")
    assert "valid: 0 errors" in out
    put(SECOND, b"\0" * len(files[SECOND]))(files)
    assert say("validate", pack(files, tmp_path / "archive"))[0] == 1


def test_levels(say, tmp_path):
    files = chained()
    put(SECOND, b"\0" * len(files[SECOND]))(files)
    path = write(files, tmp_path / "a")
    assert say("validate", path, "--level", "structure")[0] == 0
    assert "(level structure)" in say("validate", path, "--level", "structure")[1]
    assert "M-009" in say("validate", path, "--level", "deep")[1]
    at(FOLDER, "items/0/uid", "2")(files)
    write(files, path)
    assert say("validate", path, "--level", "schema")[0] == 0
    assert say("validate", path, "--level", "structure")[0] == 1


def test_base(say, tmp_path):
    base = good()
    at("archive.json", "archive/id", "base")(base)
    files = good()
    partial(files)
    at(FOLDER, "uidvalidity", 8)(files)
    path = write(files, tmp_path / "part")
    assert "F-061" not in say("validate", path)[1]
    code, out, _ = say("validate", path, "--base", write(base, tmp_path / "base"))
    assert code == 1
    assert re.search(r"  F-06\d ", out)


def test_strict(say, tmp_path):
    files = good()
    at("archive.json", "dataset/languagetag", "en_ca")(files)
    path = write(files, tmp_path / "a")
    assert say("validate", path)[0] == 0
    code, out, err = say("validate", path, "--strict")
    assert (code, err) == (1, "")
    assert out.splitlines()[-1] == "NOT VALID: 0 errors, 1 warning, 1 note (level deep, strict)"
    report = json.loads(say("validate", path, "--strict", "--json")[1])
    assert (report["ok"], report["strict"], report["passed"]) == (True, True, False)


@pytest.mark.parametrize("option", ["--quiet", "-q"])
def test_quiet(say, sound, spoilt, option):
    assert say("validate", sound, option) == (0, "", "")
    assert say("validate", spoilt, option) == (1, "", "")


def test_nothing_is_written(sound, spoilt, tmp_path):
    def state():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    before = state()
    for path in (sound, spoilt):
        for form in ([], ["--json"], ["--sarif"]):
            run("validate", path, *form, cwd=tmp_path)
    assert state() == before


# --- how far it is --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Seconds of work: an item for each of 160,000 uids, all of one file."""
    files = good()
    items = [{**item(1), "uid": str(number)} for number in range(1, 160_000)]
    at(FOLDER, "items", items)(files)
    return write(files, tmp_path_factory.mktemp("large") / "archive")


def test_progress_on_a_terminal(large):
    screen = Screen("validate", large)
    screen.wait_for("looking at the archive")
    screen.wait_for("NOT VALID")
    assert screen.end() == 1
    assert "159,998 times: " in screen.text
    before, _, _ = screen.text.partition("Errors")
    assert re.search(r"\d of 12 files, \d+\.\d MB of \d+\.\d MB", before)
    # gone when it is done
    assert "\x1b[2K" in before
    for words in (["-q"], ["--progress", "none"]):
        quiet = Screen("validate", large, *words)
        assert quiet.end() == 1
        assert "looking at" not in quiet.text


def test_progress_in_a_pipe(large):
    said = run("validate", large)
    assert said.code == 1
    lines = said.err.splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"looking at the archive: \d+ of 12 files, .* of [\d.]+ MB.*", line)
    assert run("validate", large, "--progress", "none").err == ""


def test_progress_for_programs(large):
    said = run("validate", large, "--json", "--progress", "json")
    assert said.code == 1
    VALIDATION.validate(json.loads(said.out))
    events = [json.loads(line) for line in said.err.splitlines()]
    for event in events:
        EVENT.validate(event)
    first, *rest = events
    assert (first["event"], first["files"]) == ("archive-listed", 12)
    assert {event["event"] for event in rest} == {"checked"}
    assert len(rest) > 2
    for member in ("files", "octets"):
        assert sum(event[member] for event in rest) == first[member]


def test_progress_nobody_reads(large):
    """A closed stderr is no reason to stop."""
    for mode in ("plain", "json"):
        reader, writer = os.pipe()
        os.close(reader)
        said = run("validate", large, "--progress", mode, stderr=writer)
        os.close(writer)
        assert said.code == 1
        assert "NOT VALID" in said.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_changes_nothing(large, number):
    process = start("validate", large, "--progress", "json")
    assert json.loads(process.stderr.readline())["event"] == "archive-listed"
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    last = json.loads(err.splitlines()[-1])
    assert (last["code"], last["message"]) == ("interrupted", "interrupted")
    assert last["hint"].startswith("nothing was changed")
    assert "goes on where" not in err


def test_an_interrupt_ends_the_processes_that_hash(tmp_path):
    path = write(chained(), tmp_path / "a")
    os.truncate(path / SECOND, 30 << 30)  # a hole, which takes many seconds to read
    process = start("validate", path, "--progress", "json")
    assert json.loads(process.stderr.readline())["event"] == "archive-listed"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    before = time.monotonic()
    while not (found := _of_threads(children)) and time.monotonic() - before < PATIENCE:
        time.sleep(0.05)
    assert found
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert [pid for pid in found if Path(f"/proc/{pid}").exists()] == []


def _of_threads(children):
    """The children of a process, whichever of its threads began them."""
    return [
        pid for task in children.parents[1].glob("*/children") for pid in task.read_text().split()
    ]


def test_a_url_is_no_archive(say):
    for words in (["https://x.example/a.zip"], ["a", "--base", "https://x.example/a.zip"]):
        code, out, err = say("validate", *words)
        assert (code, out) == (2, "")
        assert "portarchive validate" in err
        assert "import" not in err


# --- for programs ---------------------------------------------------------------------------------


def everything():
    """A report with every code that there is, one of them more often than is kept."""
    report = Report("archive", "deep")
    for row in checkable():
        if row.id != "F-001":
            report.add(row.id, "mail/INBOX/folder.json", "/items/3/flags/0", "so")
            report.add(row.id, "mail/INBOX/folder.json", "12:7")
            report.add(row.id)
    for number in range(KEPT + 5):
        report.add("M-009", f"mail/INBOX/{number}.eml")
    report.add_count("F-016", 3)
    return report


def test_json(say, spoilt, sound):
    code, out, err = say("validate", spoilt, "--json")
    assert (code, err) == (1, "")
    report = json.loads(out)
    VALIDATION.validate(report)
    assert report["command"] == "validate"
    assert (report["ok"], report["passed"], report["level"]) == (False, False, "deep")
    library = portarchive.validate(spoilt).to_dict()
    assert {name: report[name] for name in library} == library
    assert sum(report["counts"].values()) == sum(report["totals"].values())
    fine = json.loads(say("validate", sound, "--json")[1])
    VALIDATION.validate(fine)
    assert (fine["ok"], fine["passed"], fine["findings"]) == (True, True, [])


def test_every_code_fits_the_schema():
    VALIDATION.validate(json.loads(json.dumps(report_of(everything(), strict=False))))
    for row in all_codes().values():
        head = {"$schema": "urn:portarchive:schema:validation:1", "command": "explain"}
        VALIDATION.validate({**head, "generator": "portarchive/1", **explanation(row)})


def test_the_schema_refuses():
    fine = json.loads(json.dumps(report_of(everything(), strict=False)))
    for change in (
        {"level": "shallow"},
        {"counts": {"X-001": 1}},
        {"fingerprint": "0" * 63},
        {"findings": [{**fine["findings"][0], "severity": "fatal"}]},
        {"more": 1},
    ):
        assert not VALIDATION.is_valid({**fine, **change})


def test_all_forms_tell_the_same():
    report = everything()
    words = "\n".join(words_of(report, strict=False, limit=2000))
    log = sarif_of(report, strict=False)["runs"][0]
    for _, groups in grouped(report):
        for group in groups:
            assert f"  {group.row.id:<6} " in words
            results = [one for one in log["results"] if one["ruleId"] == group.row.id]
            assert len(results) == min(group.count, len(group.findings)) <= KEPT
    assert len(log["results"]) == len(report.findings) == len(report.to_dict()["findings"])
    assert f"and {report.counts['M-009'] - KEPT:,} more" in words


# --- SARIF ----------------------------------------------------------------------------------------


def objects(required, **properties):
    return {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": properties,
    }


def lists(of):
    return {"type": "array", "items": of}


TEXT = {"type": "string", "minLength": 1}
INDEX = {"type": "integer", "minimum": 0}
BAG = {"type": "object"}
MESSAGE = objects(["text"], text=TEXT)
LEVEL = {"enum": ["none", "note", "warning", "error"]}
ARTIFACT = objects([], uri=TEXT, uriBaseId=TEXT, description=MESSAGE)
REGION = objects(
    ["startLine"],
    startLine={"type": "integer", "minimum": 1},
    startColumn={"type": "integer", "minimum": 1},
)
PHYSICAL = objects(["artifactLocation"], artifactLocation=ARTIFACT, region=REGION)
LOCATION = objects(
    [],
    message=MESSAGE,
    physicalLocation=PHYSICAL,
    logicalLocations=lists(objects(["fullyQualifiedName"], fullyQualifiedName=TEXT)),
)
RULE = objects(
    ["id"],
    id=TEXT,
    shortDescription=MESSAGE,
    help=MESSAGE,
    defaultConfiguration=objects([], level=LEVEL),
    properties=BAG,
)
NOTIFICATION = objects(
    ["message"], message=MESSAGE, level=LEVEL, associatedRule=objects(["id"], id=TEXT, index=INDEX)
)
INVOCATION = objects(
    ["executionSuccessful"],
    executionSuccessful={"type": "boolean"},
    exitCode={"type": "integer"},
    exitCodeDescription=TEXT,
    toolExecutionNotifications=lists(NOTIFICATION),
)
RESULT = objects(
    ["message", "ruleId", "ruleIndex", "level"],
    ruleId=TEXT,
    ruleIndex=INDEX,
    level=LEVEL,
    message=MESSAGE,
    locations=lists(LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
)
DRIVER = objects(["name"], name=TEXT, semanticVersion=TEXT, rules=lists(RULE))
RUN = objects(
    ["tool", "results"],
    tool=objects(["driver"], driver=DRIVER),
    invocations=lists(INVOCATION),
    originalUriBaseIds={"type": "object", "additionalProperties": ARTIFACT},
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results=lists(RESULT),
    properties=BAG,
)
# What SARIF 2.1.0 asks of the members that are used, and no other members.
SARIF = Draft202012Validator(
    objects(
        ["version", "runs"],
        **{"$schema": TEXT, "version": {"const": "2.1.0"}, "runs": {**lists(RUN), "minItems": 1}},
    )
)


def test_sarif(say, spoilt, sound):
    code, out, err = say("validate", spoilt, "--sarif")
    assert (code, err) == (1, "")
    log = json.loads(out)
    SARIF.validate(log)
    one = log["runs"][0]
    rules = one["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in one["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == all_codes()[result["ruleId"]].severity.value
        assert result["locations"]
    assert one["invocations"][0]["exitCode"] == 1
    twins = next(result for result in one["results"] if result["ruleId"] == "C-036b")
    place = twins["locations"][0]
    assert place["physicalLocation"]["artifactLocation"] == {"uri": FOLDER, "uriBaseId": "ARCHIVE"}
    assert place["logicalLocations"] == [{"fullyQualifiedName": "/items/2/filename"}]
    in_line = [
        result["locations"][0]["physicalLocation"]["region"]
        for result in one["results"]
        if result["ruleId"] == "P-003"
    ]
    assert in_line[0]["startLine"] == 3
    assert say("validate", spoilt, "--sarif")[1] == out
    fine = json.loads(say("validate", sound, "--sarif")[1])
    SARIF.validate(fine)
    assert fine["runs"][0]["results"] == []
    assert fine["runs"][0]["invocations"][0]["exitCode"] == 0


def test_sarif_of_everything():
    log = sarif_of(everything(), strict=True)
    SARIF.validate(json.loads(json.dumps(log)))
    one = log["runs"][0]
    fingerprints = [result["partialFingerprints"]["finding/v1"] for result in one["results"]]
    assert len(set(fingerprints)) == len(fingerprints)
    told = [n["message"]["text"] for n in one["invocations"][0]["toolExecutionNotifications"]]
    assert f"M-009: 1,000 findings of {KEPT + 8:,} are listed." in told
    assert len(told) == 2
    assert one["properties"]["counts"]["M-009"] == KEPT + 8


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "/etc/passwd", "mail/../../x", "./x", "a//b"],
)
def test_sarif_makes_no_uri_of_a_name_that_leads_out(path):
    report = Report("archive", "deep")
    report.add("F-010", path, "", "unsafe")
    location = sarif_of(report, strict=False)["runs"][0]["results"][0]["locations"][0]
    assert location == {"logicalLocations": [{"fullyQualifiedName": path}]}


@pytest.mark.parametrize("path", ["https://x/y", "C:/x", "a b#c?d%20e", "é/😀", "mail:x", "//x/y"])
def test_sarif_uris_are_relative(path):
    report = Report("archive", "deep")
    report.add("F-020", path)
    location = sarif_of(report, strict=False)["runs"][0]["results"][0]["locations"][0]
    if "//" in path:
        assert "physicalLocation" not in location
        return
    uri = location["physicalLocation"]["artifactLocation"]["uri"]
    split = urlsplit(uri)
    assert uri.isascii()
    assert (split.scheme, split.netloc, split.query, split.fragment) == ("", "", "", "")
    assert unquote(uri) == path


def test_sarif_messages_hold_no_placeholder_and_no_link():
    report = Report("archive", "deep")
    report.add("F-020", "x", "", "{0} [here](https://example.org/) }")
    text = sarif_of(report, strict=False)["runs"][0]["results"][0]["message"]["text"]
    assert text == "{{0}} [here] (https://example.org/) }}"


def test_a_broken_check_is_our_fault():
    report = Report("archive", "deep")
    report.add("F-001", "x", "", "KeyError at y.py:1")
    assert words_of(report, strict=False, limit=3)[-1].startswith("NOT DECIDED: 1 error")
    invocation = sarif_of(report, strict=False)["runs"][0]["invocations"][0]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 70)
    assert report_of(report, strict=False)["passed"] is False


# --- what a code means ----------------------------------------------------------------------------


@pytest.mark.parametrize("row", all_codes().values(), ids=lambda row: row.id)
def test_explain(say, row):
    code, out, err = say("validate", "--explain", row.id.lower())
    assert (code, err) == (0, "")
    severity = row.severity.value if row.severity else "not checked"
    assert out.splitlines()[0] == f"{row.id}: {severity}"
    for text in (row.meaning, row.hint, row.why):
        assert text in out
    assert row.clause == "-" or row.clause in out


def test_explain_names_its_kin(say):
    out = say("validate", "--explain", "P-007")[1]
    assert "see also  P-007b, P-007c" in out
    code, out, err = say("validate", "--explain", "P-007", "--json")
    assert (code, err) == (0, "")
    VALIDATION.validate(json.loads(out))
    assert json.loads(out)["related"] == ["P-007b", "P-007c"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("P14", "P-014"),
        ("p-14", "P-014"),
        ("P_014", "P-014"),
        ("P-7c", "P-007c"),
        ("P-003z", "P-003"),
        ("M-09", "M-009"),
        ("PP-014", "P-014"),
    ],
)
def test_explain_knows_what_was_meant(say, typed, meant):
    code, out, err = say("validate", "--explain", typed)
    assert (code, out) == (2, "")
    assert err.startswith("error: there is no code ")
    assert re.search(rf"^hint: did you mean .*\b{meant}\b.*\?$", err, re.MULTILINE)


@pytest.mark.parametrize("typed", ["", "x", "nonsense", "\x1b[31m", "9" * 500, "P-999"])
def test_explain_of_no_code(say, typed):
    code, out, err = say("validate", "--explain", typed)
    assert (code, out) == (2, "")
    assert "hint: " in err
    assert len(near_codes(typed)) <= 3


# --- how it ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        [],
        [""],
        ["imaps://jane@example.org"],
        ["A", "--level", "shallow"],
        ["A", "--limit", "-1"],
        ["A", "--limit", "many"],
        ["A", "--json", "--sarif"],
        ["A", "--sarif", "--html", "x.html"],
        ["A", "--json", "--limit", "3"],
        ["A", "--base", ""],
        ["A", "B"],
        ["A", "--explain", "P-001"],
        ["A", "--bogus"],
        ["A", "--progress", "loud"],
    ],
)
def test_wrong_usage(say, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    write(good(), tmp_path / "A")
    code, out, err = say("validate", *words)
    assert (code, out) == (2, "")
    assert "hint: " in err or '"hint": ' in err
    assert not (tmp_path / "x.html").exists()


def test_no_archive(say, sound, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    for name in ("none", "empty", "text", "text/x", "pipe"):
        code, out, err = say("validate", tmp_path / name)
        assert (code, out) == (10, ""), name
        assert err.count("error: ") == err.count("hint: ") == 1
    assert say("validate", sound, "--base", tmp_path / "none")[0] == 10
    code, _, err = say("validate", tmp_path / "none", "--json")
    assert (code, json.loads(err)["code"]) == (10, "no-archive")


def test_an_unfinished_export(say, tmp_path):
    files = good()
    del files["archive.json"]
    path = write(files, tmp_path / "a")
    (path / ".portarchive").mkdir()
    code, out, err = say("validate", path)
    assert (code, out) == (ExitCode.UNFINISHED, "")
    assert "run the same export again" in err


def test_damage_is_a_finding(say, tmp_path):
    path = zipped(chained(), tmp_path / "a")
    path.write_bytes(path.read_bytes()[:-40])
    code, out, _ = say("validate", path)
    assert code == 1
    assert "NOT VALID" in out


def test_what_cannot_be_written(spoilt):
    with Path("/dev/full").open("w") as full:
        for form in ([], ["--json"], ["--sarif"]):
            said = run("validate", spoilt, *form, stdout=full)
            assert said.code == 15, said.err
            assert "Traceback" not in said.err
