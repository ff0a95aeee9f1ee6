"""A validation as one page of HTML: opened anywhere, printed, mailed; it needs nothing else.

The page has no script and asks no network, and says so in a Content Security Policy of its own
that would stop both. Every word that is not ours is escaped; the style is found by its digest.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterator

from portarchive import __version__
from portarchive.cli.output import counted, octets
from portarchive.cli.safe_text import safe
from portarchive.cli.validate_view import (
    HEADS,
    Group,
    clause_of,
    grouped,
    line_and_column,
    verdict,
    verdict_word,
)
from portarchive.validate.codes import Severity
from portarchive.validate.report import Finding, Report

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1d21; --soft: #5b616b; --line: #d5d9df;
  --panel: #f5f6f8; --error: #b3261e; --warning: #8a5300; --note: #2a5db0; --fine: #1d6f42; }
@media (prefers-color-scheme: dark) { :root { --back: #16181c; --text: #e6e8eb; --soft: #a3a9b3;
  --line: #363b43; --panel: #1f2228; --error: #ff8a80; --warning: #f5b85a; --note: #8ab4f8;
  --fine: #74d09b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.3; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .35rem 0; }
a { color: inherit; }
code, bdi { overflow-wrap: anywhere; unicode-bidi: isolate; }
code { font: .875em/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
.soft { color: var(--soft); }
.verdict { display: inline-block; border: 2px solid; border-radius: .4rem; font-weight: 600;
  margin: .25rem 0 1rem; padding: .25rem .75rem; }
.error { color: var(--error); } .warning { color: var(--warning); } .note { color: var(--note); }
.fine { color: var(--fine); }
dl { display: grid; gap: .2rem 1.25rem; grid-template-columns: max-content 1fr; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .75rem .35rem 0; text-align: left;
  vertical-align: top; }
th { color: var(--soft); font-size: .875rem; font-weight: 600; }
.count { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
.code { white-space: nowrap; }
section.found { border: 1px solid var(--line); border-left: .3rem solid; border-radius: .4rem;
  margin: 0 0 1rem; padding: .75rem 1rem; }
section.found > * { color: var(--text); }
section.found .soft { color: var(--soft); }
section.found table { margin-top: .5rem; table-layout: fixed; }
section.found td { font-size: .9375rem; }
.place:not(:only-child) { width: 45%; }
footer { border-top: 1px solid var(--line); color: var(--soft); font-size: .875rem;
  margin-top: 3rem; padding-top: .75rem; }
@media (max-width: 40rem) { th, td { padding-right: .4rem; } body { padding: 1rem .75rem 3rem; }
  dl { grid-template-columns: 1fr; } dt { margin-top: .4rem; }
  .clause { display: none; } }
@media print { :root { --back: #fff; --text: #000; --soft: #444; --line: #bbb; --error: #b3261e;
    --warning: #8a5300; --note: #2a5db0; --fine: #1d6f42; color-scheme: light;
    font-size: 10pt; }
  body { max-width: none; padding: 0; } h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; } a { text-decoration: none; } }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"


def page_of(report: Report, *, strict: bool, limit: int) -> str:
    """The whole page, the same for the same report.

    Args:
        report: of one archive.
        strict: whether warnings count.
        limit: findings of each code that are shown.
    """
    title = f"{_text(report.archive)}: {verdict_word(report, strict=strict)}"
    body = "\n".join(_body(report, strict=strict, limit=limit))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _text(words: object) -> str:
    """A stranger's words, on one line, as text of the page."""
    return html.escape(safe(words))


def _body(report: Report, *, strict: bool, limit: int) -> Iterator[str]:
    yield "<header>"
    yield f"<h1>Validation of <bdi>{_text(report.archive)}</bdi></h1>"
    kind = {"valid": "fine"}.get(verdict_word(report, strict=strict), "error")
    yield f'<p class="verdict {kind}">{html.escape(verdict(report, strict=strict))}</p>'
    yield "<dl>"
    for name, value in _facts(report):
        yield f"<dt>{name}</dt><dd>{value}</dd>"
    yield "</dl>"
    yield "</header>"
    yield "<main>"
    groups = list(grouped(report))
    if groups:
        yield from _overview(groups)
    else:
        yield '<p class="fine">There is nothing to tell.</p>'
    for severity, of_severity in groups:
        yield f'<h2 class="{severity.value}">{HEADS[severity]}</h2>'
        for group in of_severity:
            yield from _found(group, limit)
    yield "</main>"
    yield (
        f"<footer>portarchive {html.escape(__version__)}. Clauses are those of"
        " draft-ietf-mailmaint-pdparchive-02 where they name nothing else."
        " <code>portarchive validate --explain CODE</code> says more of a code;"
        " <code>--json</code> has up to 1,000 findings of each.</footer>"
    )


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    yield "Dialect", f"<bdi>{_text(report.dialect or 'none that is known')}</bdi>"
    yield "Fingerprint", f"<code>{_text(report.fingerprint or 'unknown')}</code>"
    yield "Files", f"{report.files:,} ({octets(report.octets)})"
    yield "Messages", f"{report.messages:,} in {counted(report.folders, 'folder')}"


def _overview(groups: list[tuple[Severity, list[Group]]]) -> Iterator[str]:
    yield "<h2>What was found</h2>"
    yield "<table><thead><tr>"
    yield '<th scope="col">Code</th><th scope="col">Severity</th>'
    yield '<th scope="col" class="count">Times</th><th scope="col">Meaning</th>'
    yield '<th scope="col" class="clause">Clause</th></tr></thead><tbody>'
    for severity, of_severity in groups:
        for group in of_severity:
            row = group.row
            yield (
                f'<tr><td class="code"><a href="#{row.id}"><code>{row.id}</code></a></td>'
                f'<td class="{severity.value}">{severity.value}</td>'
                f'<td class="count">{group.count:,}</td><td>{html.escape(row.meaning)}</td>'
                f'<td class="clause soft">{html.escape(clause_of(row))}</td></tr>'
            )
    yield "</tbody></table>"


def _found(group: Group, limit: int) -> Iterator[str]:
    row = group.row
    severity = "" if row.severity is None else row.severity.value
    yield f'<section class="found {severity}" id="{row.id}">'
    yield f"<h3><code>{row.id}</code> {html.escape(row.meaning)}</h3>"
    facts = (severity, clause_of(row), _times(group.count))
    yield f'<p class="soft">{html.escape(", ".join(filter(None, facts)))}</p>'
    if row.hint:
        yield f"<p>{html.escape(row.hint)}</p>"
    shown = group.findings[:limit]
    if shown:
        yield from _table(shown, row.meaning)
    if group.count > len(shown):
        yield f'<p class="soft">and {group.count - len(shown):,} more</p>'
    yield "</section>"


def _table(findings: list[Finding], meaning: str) -> Iterator[str]:
    """Where each is, and what is so there, if that says more than the code does."""
    more = any(found.text != meaning for found in findings)
    yield '<table><thead><tr><th scope="col" class="place">Where</th>'
    yield '<th scope="col">What</th></tr></thead><tbody>' if more else "</tr></thead><tbody>"
    for found in findings:
        what = "" if found.text == meaning else f"<bdi>{_text(found.text)}</bdi>"
        yield f"<tr><td>{_place(found)}</td>" + (f"<td>{what}</td></tr>" if more else "</tr>")
    yield "</tbody></table>"


def _place(found: Finding) -> str:
    if not found.path and not found.pointer:
        return "the archive"
    path = f"<code>{_text(found.path)}</code>" if found.path else "the archive"
    place = line_and_column(found.pointer)
    if place is not None:
        return f'{path} <span class="soft">line {place[0]:,}, column {place[1]:,}</span>'
    return f"{path} <code>{_text(found.pointer)}</code>" if found.pointer else path


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
