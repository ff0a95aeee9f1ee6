"""The page of ``report``, in a real browser: readable, and a stranger's words stay words."""

from __future__ import annotations

import json
import re
import socket

import pytest
from browser import Browser
from schema_checks import REPORT
from terminal import run

from exporting import export
from indexing import HOSTILE, account, archive, mail
from portarchive.cli import main
from portarchive.connectors.memory import MemorySource
from portarchive.records import Failure

MARK = "the page was taken over"
SCRIPT = f"document.title='{MARK}';alert('{MARK}')"
ATTACKS = [
    f"<script>{SCRIPT}</script>",
    f'"><svg onload="{SCRIPT}"><image href="http://127.0.0.1:9/svg"/></svg>',
    f'</td></table><img src=http://127.0.0.1:9/image onerror="{SCRIPT}">',
    "</style></title></head><link rel=stylesheet href=http://127.0.0.1:9/style>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'><base href='http://127.0.0.1:9/'>",
    f'<a href="javascript:{SCRIPT}">click</a>',
    "&lt;img src=http://127.0.0.1:9/entity&#62;--><!--<![CDATA[ \x1b[31m \u2066",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def page_of(tmp_path, monkeypatch, capsys):
    """Runs ``report`` in this process, in which no socket can be opened."""
    file = tmp_path / "report.html"

    def make(path, *words):
        with monkeypatch.context() as patch:

            def no_network(*arguments, **more):
                raise AssertionError("a socket was opened")

            patch.setattr(socket, "socket", no_network)
            assert main(["report", str(path), "--output", str(file), *words]) == 0
        capsys.readouterr()
        return file

    return make


def test_a_page(browser, page_of, tmp_path):
    file = page_of(archive(tmp_path / "mail"))
    assert file.stat().st_mode & 0o777 == 0o600
    page = browser.open(file.as_uri())
    assert page.requests == [file.as_uri()]
    assert (page.blocked, page.dialogs) == ([], [])
    text = page.ask("document.body.innerText")
    for words in ("Complete: all", "Volume over time", "Messages received by month", "Work/2019",
                  "Rechnung", "application/pdf", "gone@example.com", "Duplicates"):  # fmt: skip
        assert words in text
    assert page.ask("document.scripts.length") == 0
    assert page.ask("document.querySelectorAll('a,img,link,iframe,object,form,base').length") == 0
    assert page.pdf().startswith(b"%PDF")
    assert page.requests == [file.as_uri()]


def test_plots_are_seen_and_told(browser, page_of, tmp_path):
    page = browser.open(page_of(archive(tmp_path / "mail")).as_uri())
    plots = "[...document.querySelectorAll('svg.plot')]"
    assert page.ask(f"{plots}.length") == 3
    assert page.ask(f"{plots}.every(p => p.querySelector('title') && p.querySelector('desc'))")
    assert page.ask(f"{plots}.every(p => p.getAttribute('aria-labelledby').split(' ')"
                    ".every(id => document.getElementById(id)))")  # fmt: skip
    assert page.ask(f"{plots}.every(p => p.getBoundingClientRect().height > 150)")
    bars = "[...document.querySelectorAll('rect.bar')]"
    assert len(set(page.ask(f"{bars}.map(bar => getComputedStyle(bar).fill)"))) == 2
    for style in ("light", "dark"):
        page.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": style}],
        )
        pair = page.ask("[getComputedStyle(document.body).color,"
                        " getComputedStyle(document.body).backgroundColor]")  # fmt: skip
        dark, bright = (sum(map(int, re.findall(r"\d+", one)[:3])) for one in pair)
        assert (dark > bright) is (style == "dark")
    assert page.ask("[...document.querySelectorAll('th')].every(h => h.scope && h.textContent)")


def test_it_fits_a_telephone(browser, page_of, tmp_path):
    page = browser.open(page_of(archive(tmp_path / "mail")).as_uri(), width=360)
    assert page.ask("document.documentElement.scrollWidth") <= 360


def test_a_hostile_archive_is_only_words(browser, page_of, tmp_path):
    source = account()
    for number, words in enumerate(ATTACKS):
        source.add(
            mail(words, f'"{words.replace(chr(34), chr(39))}" <x{number}@example.com>'),
            flags=[f"<b>{number}"],
            received="2024-01-01T00:00:00+00:00",
        )
        source.add(
            mail("Twice", f"<{number}<b>@x>", body=words), received="2024-01-01T00:00:00+00:00"
        )
    source.create_folder((ATTACKS[0].replace("/", "|"),))
    source.refuse_folder(ATTACKS[0].replace("/", "|"), "folder-unavailable", ATTACKS[1])
    bad = source.add(mail("bad"), received="2024-01-01T00:00:00+00:00")
    source.answer(bad, Failure("server-refused", ATTACKS[2]))
    path = tmp_path / "mail"
    export(source, path, name=ATTACKS[0], retry=False)
    file = page_of(path)
    text = file.read_text(encoding="utf-8")
    assert text.count("&lt;script&gt;document.title") > 2, "the words are not in the page"
    page = browser.open(file.as_uri())
    assert page.requests == [file.as_uri()]
    assert (page.dialogs, page.blocked) == ([], [])
    assert page.ask("document.title").startswith("Report on <script>")
    assert page.ask("document.scripts.length") == 0
    assert page.ask("document.querySelectorAll('a,img,link,iframe,object,form,base').length") == 0
    assert (
        page.ask("document.querySelectorAll('[onload],[onerror],[style],[href],[src]').length") == 0
    )
    assert "Incomplete" in page.ask("document.body.innerText")
    assert "server-refused" in page.ask("document.body.innerText")
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text)


def test_what_gets_in_all_the_same_is_stopped(browser, page_of, tmp_path):
    """The policy of the page is a second lock."""
    file = page_of(archive(tmp_path / "mail"))
    broken = file.read_text().replace("</main>", f"{ATTACKS[0]}{ATTACKS[2]}</main>")
    file.write_text(broken)
    page = browser.open(file.as_uri())
    assert page.dialogs == []
    assert MARK not in page.ask("document.title")
    assert page.blocked


def test_the_same_archive_gives_the_same_page(page_of, tmp_path):
    path = archive(tmp_path / "mail")
    first = page_of(path).read_bytes()
    assert page_of(path, "--json").read_bytes() == first


def test_an_empty_archive(browser, page_of, tmp_path):
    export(MemorySource(), tmp_path / "mail")
    page = browser.open(page_of(tmp_path / "mail").as_uri())
    assert "No message has a date" in page.ask("document.body.innerText")
    assert page.blocked == []


def test_for_programs(tmp_path):
    path = archive(tmp_path / "mail")
    said = run("report", path, "--json", cwd=tmp_path)
    assert said.code == 0, said.err
    REPORT.validate(said.json)
    assert (said.json["totals"]["messages"], said.json["page"]) == (8, None)
    assert [file.name for file in tmp_path.iterdir()] == ["mail"]
    assert said.out.isascii()


def test_the_page_has_a_name_of_its_own(tmp_path):
    path = archive(tmp_path / "mail")
    said = run("report", path, cwd=tmp_path)
    assert said.code == 0, said.err
    assert said.out.splitlines()[-1] == "the report is in mail-report.html"
    assert (tmp_path / "mail-report.html").exists()
    assert HOSTILE not in said.out
    assert run("report", path, cwd=path).refused(2).startswith("the file of --output would change")
    assert json.loads(run("report", path, "--json", "--output", "x.html", cwd=tmp_path).out)["page"]
