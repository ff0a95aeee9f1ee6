"""The page of ``validate --html``, in a real browser: a stranger's words stay words."""

from __future__ import annotations

import re
import socket
import threading
from html.parser import HTMLParser

import pytest
from browser import Browser
from hypothesis import given, settings
from hypothesis import strategies as st
from terminal import run

from portarchive.cli.validate_html import page_of
from portarchive.validate.codes import Severity, checkable
from portarchive.validate.report import KEPT, Report
from validating import FOLDER, at, chained, dumped, folder, item, write

MARK = "the page was taken over"


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def beacon():
    """A server that notes who calls; nobody should."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        ended = threading.Event()
        calls = []

        def listen():
            while not ended.is_set():
                try:
                    caller, _ = listening.accept()
                except TimeoutError:
                    continue
                with caller:
                    calls.append(caller.recv(1000))

        thread = threading.Thread(target=listen)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", calls
        ended.set()
        thread.join()


def attacks(url):
    """What somebody would put into an archive to get at whoever reads the report."""
    script = f"document.title='{MARK}';alert('{MARK}');fetch('{url}/fetched')"
    return [
        f"<script>{script}</script>",
        f'</td></table><img src={url}/image onerror="{script}">',
        f'"><svg onload="{script}"><image href=\'{url}/svg\'/></svg>',
        f"</style></title></head><link rel=stylesheet href={url}/style>",
        f"<style>@import '{url}/import';body{{background:url({url}/background)}}</style>",
        f"<meta http-equiv=refresh content='0;url={url}/refresh'><base href='{url}/'>",
        f"<iframe src={url}/frame></iframe><object data={url}/object></object>",
        f'<a href="javascript:{script}" ping={url}/ping>click</a>',
        f"&lt;script&gt;&#60;img src={url}/entity&#62;--><!--<![CDATA[",
        "`${alert(1)}` {{constructor.constructor('alert(1)')()}} \x1b[31m \u202e\u2066 \ud800 \0",
    ]


def hostile(url):
    """An archive with all of them in names of files, of members, and in values."""
    files = chained()
    words = attacks(url)
    strange = [
        {**item(1), "uid": str(100 + at_), "filename": f"{word.replace(chr(0), '')}.eml"}
        for at_, word in enumerate(words)
    ]
    members = {
        f"{word}{number}": 2**60 for number, word in enumerate(words) if "\ud800" not in word
    }
    files["mail/Strange/folder.json"] = dumped(folder("Strange", "M7", strange, **members))
    at("archive.json", "archive/version", words[0])(files)
    at("archive.json", "dataset/extent", words[1])(files)
    at("archive.json", "dataset/languagetag", words[2])(files)
    at(FOLDER, "special_use", "\\" + words[1])(files)
    at(FOLDER, "items/0/flags", words[:9])(files)
    for word in words[:9]:
        files[f"mail/INBOX/{word.replace('/', '|')}"[:200]] = b"x"
    return files


def test_a_hostile_archive_is_only_words(browser, beacon, tmp_path):
    url, calls = beacon
    archive = write(hostile(url), tmp_path / "<img src=x onerror=alert(1)>")
    file = tmp_path / "report.html"
    said = run("validate", archive, "--html", file)
    assert said.code == 1, said.err
    text = file.read_text(encoding="utf-8")
    assert text.count("&lt;script&gt;document.title") > 2, "the words are not in the page"
    page = browser.open(file.as_uri())
    assert page.requests == [file.as_uri()]
    assert (page.dialogs, page.blocked, calls) == ([], [], [])
    assert "NOT VALID" in page.ask("document.title")
    assert page.ask("document.scripts.length") == 0
    assert page.ask("document.querySelectorAll('img,svg,iframe,object,link,base,form').length") == 0
    assert page.ask("[...document.querySelectorAll('a')].every(a => a.hash && !a.host)")
    assert "<script>document.title" in page.ask("document.body.innerText")
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text)
    assert page.pdf().startswith(b"%PDF")
    assert (page.requests, calls) == ([file.as_uri()], [])


def planted(url, policy):
    """A page of ours into which somebody got unescaped words after all."""
    report = Report("archive", "deep")
    report.add("P-002")
    page = page_of(report, strict=False, limit=3)
    if not policy:
        page = re.sub(r'<meta http-equiv="Content-Security-Policy".*\n', "", page)
    return page.replace("</main>", "".join(attacks(url)[:2]) + "</main>")


def test_the_browser_would_tell(browser, beacon, tmp_path):
    """What the test above looks for is seen where it is."""
    url, calls = beacon
    file = tmp_path / "report.html"
    file.write_text(planted(url, policy=False), encoding="utf-8", errors="replace")
    page = browser.open(file.as_uri())
    assert {f"{url}/image", f"{url}/fetched"} <= set(page.requests)
    assert page.dialogs
    assert page.ask("document.title") == MARK
    assert calls


def test_the_policy_stops_what_escaping_would_have_missed(browser, beacon, tmp_path):
    url, calls = beacon
    file = tmp_path / "report.html"
    file.write_text(planted(url, policy=True), encoding="utf-8", errors="replace")
    page = browser.open(file.as_uri())
    assert page.ask("document.scripts.length") == 1
    assert "Content Security Policy" in " ".join(page.blocked)
    assert (page.dialogs, calls) == ([], [])
    assert page.ask("document.title") != MARK


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1100])
def test_it_can_be_read(browser, tmp_path, scheme, width):
    """The style is applied, nothing runs out of the window, and words stand out from the paper."""
    report = everything()
    file = tmp_path / "report.html"
    file.write_text(page_of(report, strict=False, limit=5), encoding="utf-8")
    page = browser.open(file.as_uri(), width=width)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.call("Emulation.setEmulatedMedia", features=features)
    assert page.ask("document.documentElement.scrollWidth") <= width
    assert not page.blocked
    ratios = page.ask(CONTRAST)
    assert len(ratios) > 100
    assert min(ratios) >= 4.5  # WCAG 2.2, 1.4.3
    lightness = page.ask("getComputedStyle(document.body).backgroundColor")
    assert (lightness == "rgb(255, 255, 255)") == (scheme == "light")
    page.call("Emulation.setEmulatedMedia", media="print", features=features)
    assert page.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert min(page.ask(CONTRAST)) >= 4.5


CONTRAST = """
(() => {
  const channels = (color) => color.match(/[0-9.]+/g).slice(0, 3).map(Number);
  const light = (color) => {
    const [r, g, b] = channels(color).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return [...document.body.querySelectorAll("*")].map((one) => {
    const ink = light(getComputedStyle(one).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  });
})()
"""


def everything():
    """A report with every code that there is, one of them more often than is kept."""
    report = Report("mail-archive", "deep")
    for row in checkable():
        report.add(row.id, f"mail/INBOX/{'very-long-name-' * 12}.eml", "/items/3/flags/0", "so")
        report.add(row.id, "mail/INBOX/folder.json", "12:7")
    for number in range(KEPT + 5):
        report.add("M-009", f"mail/INBOX/{number}.eml")
    return report


def test_everything_is_in_it():
    page = page_of(everything(), strict=False, limit=5)
    for row in checkable():
        assert f'<section class="found {row.severity.value}" id="{row.id}">' in page
        assert f'href="#{row.id}"' in page
    assert f"and {KEPT + 2:,} more" in page
    assert "line 12, column 7" in page
    heads = [page.index(f'<h2 class="{severity.value}">') for severity in Severity]
    assert heads == sorted(heads)
    assert page_of(everything(), strict=False, limit=5) == page


def test_nothing_to_tell():
    page = page_of(Report("good", "deep"), strict=True, limit=5)
    assert "There is nothing to tell." in page
    assert ": valid</title>" in page


class Skeleton(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, attrs))

    def handle_comment(self, data):
        self.tags.append(("comment", data))

    def handle_pi(self, data):
        self.tags.append(("instruction", data))


def page_with(words):
    report = Report(f"x{words}", "deep")
    report.dialect = f"x{words}"
    report.fingerprint = f"x{words}"
    report.add("F-010", f"x{words}", f"/x{words}", f"x{words}")
    return page_of(report, strict=False, limit=3)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(),
        st.text(alphabet="<>&\"'/=-!?`{}[]; abcimgscript\n\0\x1b"),
        st.sampled_from(attacks("http://127.0.0.1:9")),
    )
)
def test_no_words_change_the_page(words):
    assert Skeleton(page_with(words)).tags == Skeleton(page_with("")).tags


# --- where it is written ------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path):
    return write(chained(), tmp_path / "archive")


def test_the_file_is_whole_and_replaces_the_last_one(archive, tmp_path):
    file = tmp_path / "report.html"
    file.write_text("the last one")
    said = run("validate", archive, "--html", file)
    assert said.code == 0, said.err
    assert said.out.splitlines()[-1] == f"the report is in {file}"
    assert "valid: 0 errors, 0 warnings, 0 notes" in said.out
    assert file.read_text(encoding="utf-8").endswith("</html>\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive", "report.html"]
    assert run("validate", archive, "--html", file, "-q").out == ""
    piped = run("validate", archive, "--html", "/dev/stdout", "-q")
    assert piped.out == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["archive", "archive/report.html", "archive/mail/x.html"])
def test_it_is_never_written_into_the_archive(archive, tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    run("validate", archive, "--html", tmp_path / name).refused(2)
    link = tmp_path / "link"
    link.symlink_to(archive)
    run("validate", archive, "--html", link / "report.html").refused(2)
    link.unlink()
    other = tmp_path / "other"
    run("validate", other, "--base", archive, "--html", archive / "r.html").refused(2)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["", ".", "none/report.html", "archive.html/x"])
def test_where_it_cannot_be_written(archive, tmp_path, name):
    (tmp_path / "archive.html").write_text("a file")
    said = run("validate", archive, "--html", name, cwd=tmp_path)
    assert "--html" in said.refused(2)


def test_a_full_disk(archive):
    said = run("validate", archive, "--html", "/dev/full")
    assert said.refused(15)
