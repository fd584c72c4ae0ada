/* Styles of the board, and of the pair of board and viewer; colours are in dom.js. */

export const BOARD_STYLE = `
.seglab-board { font: 13px/1.4 system-ui, "Segoe UI", sans-serif; min-width: 0; display: flex; flex-direction: column;
  gap: .5rem; }
.seglab-board * { box-sizing: border-box; }
.seglab-board [hidden] { display: none !important; }
.seglab-board .spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.seglab-board .tabs { display: flex; gap: .2rem; border-bottom: 1px solid var(--line); }
.seglab-board .tabs button { border: 0; border-bottom: 2px solid transparent; border-radius: 0; padding: .25rem .7rem;
  color: var(--soft); background: none; }
.seglab-board .tabs button[aria-selected=true] { color: var(--ink); border-bottom-color: var(--accent); font-weight: 600; }
.seglab-board .panel { overflow: auto; max-height: 24rem; }
.seglab-board .hint { margin: 0 0 .4rem; max-width: none; color: var(--soft); line-height: 1.7; }
.seglab-board select { max-width: 13.5rem; }
.seglab-board .panel table { border-collapse: collapse; font: inherit; font-variant-numeric: tabular-nums; width: auto; }
.seglab-board .panel :is(th, td) { border: 0; }
.seglab-board .panel th { font-weight: 400; color: var(--soft); padding: .1rem .4rem; text-align: left; white-space: nowrap; }
.seglab-board .panel tbody th { position: sticky; left: 0; background: var(--paper); z-index: 1; }
.seglab-board .panel thead :is(th, td) { position: sticky; top: 0; background: var(--paper); z-index: 1;
  vertical-align: bottom; }
.seglab-board .panel th.up span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 9rem; line-height: 1.15;
  white-space: normal; overflow-wrap: anywhere; }
.seglab-board .panel .few { table-layout: fixed; width: 100%; max-width: 46rem; }
.seglab-board .panel .few th { white-space: normal; overflow-wrap: anywhere; line-height: 1.2; }
.seglab-board .panel .few thead th { text-align: center; padding: .1rem .2rem; }
.seglab-board .panel .few thead td { width: 6.5rem; }
.seglab-board .panel tr, .seglab-board .panel tr:hover { background: none; }
.seglab-board .panel td { padding: 1px; background: none; }
.seglab-board .panel thead td { background: var(--paper); }
.seglab-board td button { width: 100%; min-width: 2.3rem; border: 0; border-radius: 2px; padding: .15rem .25rem;
  text-align: center; forced-color-adjust: none; }
.seglab-board td button[aria-pressed=true] { box-shadow: inset 0 0 0 2px var(--paper), 0 0 0 2px var(--accent); }
.seglab-board canvas { display: block; width: 100%; height: 18.5rem; touch-action: pan-x pan-y; cursor: crosshair; }
.seglab-board .filters { display: flex; flex-direction: column; gap: .3rem; }
.seglab-board .line { display: flex; flex-wrap: wrap; gap: .3rem .5rem; align-items: center; color: var(--soft); }
.seglab-board .counted { color: var(--ink); }
.seglab-board .chips { display: contents; }
.seglab-board .bounds { white-space: nowrap; }
.seglab-board .chip { border-radius: 1rem; padding: .05rem .6rem; text-align: left; overflow-wrap: anywhere; }
.seglab-board input[type=number] { font: inherit; width: 5.2rem; color: var(--ink); background: var(--paper);
  border: 1px solid var(--line); border-radius: 5px; padding: .1rem .35rem; }
.seglab-board input::placeholder { color: var(--soft); opacity: 1; }
.seglab-board .gallery { position: relative; height: 22rem; overflow: auto; border: 1px solid var(--line); border-radius: 5px;
  overflow-anchor: none; font-variant-numeric: tabular-nums; }
.seglab-board .space { position: relative; min-width: 22rem; }
.seglab-board .row { display: grid; grid-template-columns: minmax(60px, 88px) repeat(var(--columns), minmax(3.4rem, 1fr)); align-items: center;
  min-width: 22rem; height: 60px; }
.seglab-board .row > div { padding: 0 .35rem; text-align: right; }
.seglab-board .space .row { position: absolute; left: 0; right: 0; border-bottom: 1px solid var(--line); cursor: pointer; }
.seglab-board .space .row:hover { background: color-mix(in srgb, var(--accent) 9%, var(--paper)); }
.seglab-board .row[aria-selected=true] { background: color-mix(in srgb, var(--accent) 20%, var(--paper)); }
.seglab-board .gallery:focus-visible .row.active { outline: 2px solid var(--accent); outline-offset: -3px; }
.seglab-board .row > .first { padding: 0 0 0 6px; text-align: left; overflow: hidden; }
.seglab-board .row img { display: block; max-width: 100%; max-height: 54px; width: auto; border-radius: 3px; }
.seglab-board .row .id { color: var(--soft); font-size: 11px; line-height: 1.2; overflow-wrap: anywhere; display: block;
  max-height: 3.6em; overflow: hidden; }
.seglab-board .row.outside img { opacity: .45; }
.seglab-board .head { position: sticky; top: 0; z-index: 2; height: 64px; background: var(--paper);
  border-bottom: 1px solid var(--line); align-items: end; }
.seglab-board .head > div { padding-bottom: 4px; color: var(--soft); }
.seglab-board .head button { border: 0; padding: 0; background: none; color: var(--soft); line-height: 1.15; text-align: right;
  width: 100%; hyphens: manual; }
.seglab-board .head [aria-sort=ascending] button, .seglab-board .head [aria-sort=descending] button { color: var(--ink);
  font-weight: 600; }
.seglab-board .histogram { display: flex; align-items: flex-end; height: 22px; margin-top: 2px; cursor: col-resize;
  touch-action: none; border-bottom: 1px solid var(--line); }
.seglab-board .histogram i { flex: 1; background: var(--line); forced-color-adjust: none; }
.seglab-board .histogram i.in { background: var(--accent); }
.seglab-linked { display: flex; flex-wrap: wrap; gap: 1rem 1.4rem; align-items: flex-start; }
.seglab-linked > * { min-width: 0; }
.seglab-linked > .left { flex: 1 1 32rem; max-width: 100%; }
.seglab-linked > .right { flex: 1 1 27rem; max-width: 100%; position: sticky; top: 0; }
.seglab-linked > .right :is(.panes, .beside) { flex: 1 1 100%; max-width: 100%; }
.seglab-linked .absent { font: 13px/1.4 system-ui, sans-serif; margin: .4rem 0; }
.seglab-linked .absent:empty { display: none; }
@media (max-width: 34rem) { .seglab-board select { max-width: 100%; } .seglab-board .gallery { height: 20rem; } }
`;
