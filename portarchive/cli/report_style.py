"""How the page of ``report`` looks: light and dark, on paper, on a telephone. Only this."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1d21; --soft: #5b616b; --line: #d5d9df;
  --panel: #f5f6f8; --a: #2f6fc4; --b: #17806d; --error: #b3261e; --note: #2a5db0;
  --fine: #1d6f42; }
@media (prefers-color-scheme: dark) { :root { --back: #16181c; --text: #e6e8eb; --soft: #a3a9b3;
  --line: #363b43; --panel: #1f2228; --a: #7fb0f5; --b: #55c7b0; --error: #ff8a80; --note: #8ab4f8;
  --fine: #74d09b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.3; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .75rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .35rem 0; }
code, bdi { overflow-wrap: anywhere; unicode-bidi: isolate; }
code { font: .875em/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
.soft { color: var(--soft); }
.hidden { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; width: 1px; }
.verdict { display: inline-block; border: 2px solid; border-radius: .4rem; font-weight: 600;
  margin: .25rem 0 1rem; padding: .25rem .75rem; }
.error { color: var(--error); } .note { color: var(--note); } .fine { color: var(--fine); }
dl { display: grid; gap: .2rem 1.25rem; grid-template-columns: max-content 1fr; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; }
.cards { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr));
  margin: 2rem 0 0; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem;
  min-width: 0; padding: .75rem .9rem; }
.card p { margin: 0; } .card .soft { font-size: .8125rem; }
.big { font-size: 1.3rem; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.3;
  white-space: nowrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .75rem .35rem 0; text-align: left;
  vertical-align: top; }
th { color: var(--soft); font-size: .875rem; font-weight: 600; vertical-align: bottom; }
td { font-size: .9375rem; }
.count { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
.day { font-variant-numeric: tabular-nums; white-space: nowrap; }
.bars { min-width: 5rem; width: 16%; }
figure { margin: 0 0 1.25rem; }
figcaption { font-weight: 600; margin: 0 0 .25rem; }
svg.plot { display: block; height: auto; width: 100%; }
svg.line { display: block; height: .6rem; margin-top: .45rem; width: 100%; }
.a .bar { fill: var(--a); } .b .bar { fill: var(--b); }
.room { fill: var(--panel); }
.bar:hover { opacity: .7; }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); }
.tick, .unit { fill: var(--soft); font-size: 13px; } .end { text-anchor: end; }
.middle { text-anchor: middle; }
summary { color: var(--soft); cursor: pointer; }
details table { max-width: 36rem; }
footer { border-top: 1px solid var(--line); color: var(--soft); font-size: .875rem;
  margin-top: 3rem; padding-top: .75rem; }
@media (max-width: 40rem) { th, td { padding-right: .4rem; } body { padding: 1rem .75rem 3rem; }
  dl { grid-template-columns: 1fr; } dt { margin-top: .4rem; }
  .tick, .unit { font-size: 22px; } }
@media print { :root { --back: #fff; --text: #000; --soft: #444; --line: #bbb; --panel: #f2f2f2;
    --a: #2f6fc4; --b: #17806d; --error: #b3261e; --note: #2a5db0; --fine: #1d6f42;
    color-scheme: light; font-size: 10pt; }
  * { print-color-adjust: exact; }
  body { max-width: none; padding: 0; } h2, h3 { break-after: avoid; }
  tr, figure, .cards { break-inside: avoid; } details { display: none; }
  .wide { overflow: visible; } }
"""
