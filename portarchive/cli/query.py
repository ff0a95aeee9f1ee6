"""``portarchive query ARCHIVE SQL``: SQL over the index of an archive, and queries with a name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portarchive.access.urls import parse_archive
from portarchive.cli import arguments, options
from portarchive.cli.index_open import NoUpdate, Place, opened
from portarchive.cli.output import columns, counted, report_head, say, to_json
from portarchive.cli.query_file import check_file, is_terminal, writing
from portarchive.cli.query_view import table, write_csv, write_json, write_json_lines
from portarchive.cli.safe_text import safe
from portarchive.cli.survey import changed_meanwhile
from portarchive.errors import SettingsError

if TYPE_CHECKING:
    from portarchive.index.query import Result, Session

FORMS = ("table", "csv", "json", "jsonl", "parquet")
FEW = 100
"""Rows of a table, unless told otherwise."""
_WHAT = "What is asked"

Archive = Annotated[
    str | None,
    typer.Argument(metavar="ARCHIVE", help="The archive: a directory, .pdpa, .zip or .tar file."),
]
Sql = Annotated[
    str | None,
    typer.Argument(
        metavar="[SQL]",
        help="One statement that reads: 'select …'. The tables are messages, attachments, senders,"
        " delivery_status and feedback_reports; 'describe messages' shows columns.",
    ),
]
Named = Annotated[
    str | None,
    options.option(
        _WHAT, "--named", "A query that is there already. Without NAME: list them.", "[NAME]"
    ),
]
Parameters = Annotated[
    list[str] | None,
    options.option(
        _WHAT, "--param", "A value for $NAME in the query. May be repeated.", "NAME=VALUE"
    ),
]
Limit = Annotated[
    str | None,
    options.option(
        _WHAT, "--limit", f"So many rows at most; 0 for all ({FEW} of a table, else all).", "N"
    ),
]
TimeLimit = Annotated[
    str, options.option(_WHAT, "--timeout", "Stop a query that takes longer (5m).", "TIME")
]
Form = Annotated[
    str | None,
    options.option(
        options.OUTPUT,
        "--format",
        "table, csv (RFC 4180), json (one object), jsonl (an object a row) or parquet.",
        "FORMAT",
    ),
]
Out = Annotated[
    str | None,
    options.option(options.OUTPUT, "--out", "Write it to this file in place of stdout.", "FILE"),
]
Exact = Annotated[
    bool,
    options.option(
        options.OUTPUT,
        "--exact",
        "csv: leave texts alone that a spreadsheet would take for a formula. Otherwise they get an"
        " apostrophe before them.",
    ),
]
Json = Annotated[bool, options.option(options.OUTPUT, "--json", "The same as --format json.")]


def query(
    archive: Archive = None,
    sql: Sql = None,
    *,
    named: Named = None,
    param: Parameters = None,
    limit: Limit = None,
    timeout: TimeLimit = "5m",
    index: Place = None,
    no_update: NoUpdate = False,
    format_: Form = None,
    out: Out = None,
    exact: Exact = False,
    json: Json = False,
    progress: options.Progress = "auto",
    quiet: options.Quiet = False,
) -> int:
    """Ask an archive with SQL, or with a query that is there already.

    The SQL is DuckDB's. It sees the tables of the index and nothing else: no other file, no
    network; nothing can be changed. The index is made or brought up to date first. docs/query.md
    has examples.
    """
    if named == "":
        return _list(archive, sql, json=json or format_ == "json")
    form = _form(format_, json=json, exact=exact)
    if archive is None or (sql is None) is (named is None):
        raise SettingsError(
            "ARCHIVE and one query are needed",
            hint="portarchive query ARCHIVE 'select …', or --named NAME;"
            " --named alone lists the names",
        )
    most = _most(limit, form)
    seconds = arguments.seconds("--timeout", timeout, least=1)
    statement, values = _statement(sql, named, _parameters(param))
    place = None if out is None else check_file("--out", out, parse_archive(archive, writing=False))
    if form == "parquet" and is_terminal(place):
        raise SettingsError("a Parquet file is not for a terminal", hint="add --out FILE")

    from portarchive.index.query import Session  # noqa: PLC0415  start-up time

    with (
        opened(archive, index=index, no_update=no_update, progress=progress, quiet=quiet) as found,
        Session(found.place, timeout=seconds) as session,
    ):
        result = session.ask(
            statement, values, form="parquet" if form == "parquet" else "rows", limit=most
        )
        head = {
            **report_head("query"),
            "archive": str(found.path),
            "fingerprint": found.contents.fingerprint,
            "named": named,
        }
        _write(result, form, head, place, exact=exact)
        _check_unchanged(session, found.path)
        if place is not None and not quiet and not json:
            say(f"{counted(result.count, 'row')} in {safe(place)}")
    return 0


def _write(
    result: Result, form: str, head: dict[str, Any], place: Path | None, *, exact: bool
) -> None:
    if form == "table" and place is None:
        rows = list(result.rows())
        for line in table(result.columns, rows, terminal=sys.stdout.isatty()):
            say(line)
        if result.more:
            say(f"and more: --limit 0 shows all, --limit {2 * result.count} some of them")
        return
    with writing(place) as file:
        if form == "parquet":
            for octets in result.octets():
                file.write(octets)
        elif form == "csv":
            write_csv(result, file, exact=exact)
        elif form == "jsonl":
            write_json_lines(result, file)
        elif form == "json":
            write_json(head, result, file)
        else:
            lines = table(result.columns, list(result.rows()), terminal=False)
            file.write("".join(f"{line}\n" for line in lines).encode())


def _check_unchanged(session: Session, path: Path) -> None:
    """What was read while the index was made anew may be of either; who got it must know."""
    if session.changed():
        raise changed_meanwhile(path)


def _form(form: str | None, *, json: bool, exact: bool) -> str:
    if json and form not in {None, "json"}:
        raise SettingsError("--json and --format do not go together", hint="leave one out")
    chosen = "json" if json else arguments.one_of("--format", form or "table", FORMS)
    if exact and chosen != "csv":
        raise SettingsError("--exact is for --format csv alone", hint="leave it out")
    return chosen


def _most(limit: str | None, form: str) -> int | None:
    if limit is None:
        return FEW if form == "table" else None
    return arguments.whole("--limit", limit, least=0, most=999_999_999_999) or None


def _parameters(given: list[str] | None) -> dict[str, str]:
    found = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier():
            raise SettingsError(
                "--param is no NAME=VALUE", hint="write it like this: --param since=2024-01-01"
            )
        found[name] = value
    return found


def _statement(
    sql: str | None, named: str | None, given: dict[str, str]
) -> tuple[str, dict[str, Any]]:
    if named is None:
        return sql or "", dict(given)
    import difflib  # noqa: PLC0415  only here

    from portarchive.index.named import NAMED  # noqa: PLC0415  start-up time

    query = NAMED.get(named)
    if query is None:
        near = difflib.get_close_matches(named, NAMED, n=1)
        raise SettingsError(
            f"there is no query named {safe(named)[:40]!r}",
            hint=f"did you mean {near[0]}?" if near else "--named alone lists the names",
            code="no-such-query",
        )
    return query.sql, dict(query.values(given))


def _list(archive: str | None, sql: str | None, *, json: bool) -> int:
    del archive
    if sql is not None:
        raise SettingsError("--named has no name", hint="--named alone lists the names")
    from portarchive.index.named import NAMED  # noqa: PLC0415  start-up time

    if json:
        queries = [
            {
                "name": query.name,
                "text": query.text,
                "sql": query.sql,
                "parameters": {
                    name: {"default": told, "text": text}
                    for name, (told, text) in query.parameters.items()
                },
            }
            for query in NAMED.values()
        ]
        say(to_json({**report_head("queries"), "queries": queries}))
        return 0
    for line in columns((), [(query.name, query.text) for query in NAMED.values()]):
        say(line)
    say()
    say("parameters, with what they are unless given (--param NAME=VALUE):")
    rows = [
        (query.name, name, "-" if told is None else told, text)
        for query in NAMED.values()
        for name, (told, text) in query.parameters.items()
    ]
    for line in columns((), rows):
        say(f"  {line}")
    return 0
