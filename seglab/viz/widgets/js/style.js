/* Styles of the viewer; colours are in dom.js. */

export const STYLE = `
.seglab-viewer { font: 13px/1.45 system-ui, "Segoe UI", sans-serif; max-width: 100%; }
.seglab-viewer * { box-sizing: border-box; }
.seglab-viewer [hidden] { display: none !important; }
.seglab-viewer .bar { display: flex; flex-wrap: wrap; gap: .35rem .9rem; align-items: center; padding: .3rem 0 .5rem; }
.seglab-viewer label { display: inline-flex; gap: .35rem; align-items: center; color: var(--soft); }
.seglab-viewer select, .seglab-viewer button { max-width: 14rem; }
.seglab-viewer input[type=range] { accent-color: var(--accent); width: 7.5rem; }
.seglab-viewer .main { display: flex; flex-wrap: wrap; gap: .6rem 1.2rem; align-items: flex-start; }
.seglab-viewer .panes { display: flex; gap: 4px; flex: 1 1 26rem; min-width: 0; max-width: max(18rem, calc(66vh * var(--ratio))); }
.seglab-viewer .panes.side { flex-basis: 100%; max-width: max(36rem, calc(132vh * var(--ratio))); }
.seglab-viewer .group { display: inline-flex; gap: .25rem; }
.seglab-viewer .pane { position: relative; flex: 1 1 0; min-width: 0; overflow: hidden;
  cursor: crosshair; border-radius: 4px; background: #0003; }
.seglab-viewer .stage { position: relative; transform-origin: 0 0;
  transform: translate(var(--x, 0), var(--y, 0)) scale(var(--z, 1)); }
.seglab-viewer canvas { display: block; width: 100%; image-rendering: pixelated; }
.seglab-viewer canvas.over { position: absolute; inset: 0; height: 100%; }
.seglab-viewer .handle { position: absolute; top: 0; bottom: 0; width: 2px; background: #fff; box-shadow: 0 0 3px #000;
  pointer-events: none; }
.seglab-viewer .cross { position: absolute; width: 9px; height: 9px; margin: -4.5px; border: 1.5px solid #fff;
  box-shadow: 0 0 2px #000, inset 0 0 2px #000; border-radius: 50%; pointer-events: none; display: none; }
.seglab-viewer .tag { position: absolute; top: 6px; padding: 0 .4rem; border-radius: 4px; background: #000a; color: #fff;
  font-size: 12px; pointer-events: none; max-width: 45%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.seglab-viewer .tag.l { left: 6px; } .seglab-viewer .tag.r { right: 6px; }
.seglab-viewer .beside { display: flex; flex-wrap: wrap; gap: .6rem 1.6rem; flex: 1 1 15rem; min-width: 0;
  align-items: flex-start; }
.seglab-viewer .legend { display: grid; grid-template-columns: repeat(auto-fill, minmax(12.5rem, 1fr)); gap: 2px 8px;
  flex: 1 1 13rem; }
.seglab-viewer .legend.pair { grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); }
.seglab-viewer .legend .caption { grid-column: 1 / -1; padding: 0 .3rem; overflow-wrap: anywhere; }
.seglab-viewer .legend.pair .v { min-width: 5.6rem; text-align: right; }
.seglab-viewer .legend .v:empty { display: none; }
.seglab-viewer .legend button { display: flex; gap: .45rem; align-items: center; border-color: transparent;
  text-align: left; max-width: none; padding: .1rem .3rem; }
.seglab-viewer .legend button[aria-pressed=false] { opacity: .55; }
.seglab-viewer .legend button[aria-pressed=false] .n { text-decoration: line-through; }
.seglab-viewer .legend .group button { border-color: var(--line); }
.seglab-viewer .key { display: flex; flex-direction: column; gap: .3rem; }
.seglab-viewer .key .entry { display: flex; gap: .5rem; align-items: center; }
.seglab-viewer .legend .n { flex: 1; min-width: 0; overflow-wrap: anywhere; white-space: normal; line-height: 1.2; }
.seglab-viewer .legend .v { flex: none; color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.seglab-viewer .swatch { flex: none; width: 14px; height: 14px; border: 1px solid #0004; border-radius: 3px;
  display: inline-block; vertical-align: -2px; forced-color-adjust: none; }
.seglab-viewer .probe { flex: 1 1 15rem; min-width: 0; container-type: inline-size; }
.seglab-viewer > .probe { max-width: 50rem; margin-top: .6rem; }
.seglab-viewer .where { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.seglab-viewer .pixel { border-collapse: collapse; table-layout: fixed; width: 100%; }
.seglab-viewer .pixel th, .seglab-viewer .pixel td { padding: 0 .8rem 0 0; border: 0; height: 1.5rem; text-align: left;
  background: none; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.seglab-viewer .pixel th { font-weight: 400; color: var(--soft); border-bottom: 1px solid var(--line); }
.seglab-viewer .pixel th:nth-child(n+3) { width: 5.6rem; }
@container (max-width: 36rem) { /* the name of the model above its row */
  .seglab-viewer > .probe tr { display: grid; grid-template-columns: 1fr 5.2rem 3.6rem 4.2rem; }
  .seglab-viewer > .probe :is(th, td):first-child { grid-column: 1 / -1; border: 0; } }
.seglab-viewer .scores { flex: 1 1 15rem; }
.seglab-viewer .scores:empty { display: none; }
.seglab-viewer .score { border-collapse: collapse; }
.seglab-viewer .spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.seglab-viewer .soft { color: var(--soft); }
.seglab-viewer .score td { padding: .08rem .6rem .08rem 0; border: 0; text-align: left; background: none; vertical-align: middle; }
.seglab-viewer .score .meter { display: inline-block; width: 9rem; height: .65rem; background: var(--line);
  border-radius: 3px; overflow: hidden; forced-color-adjust: none; }
.seglab-viewer .score .meter i { display: block; height: 100%; }
.seglab-viewer .number { font-variant-numeric: tabular-nums; }
.seglab-viewer.dropping .panes { outline: 3px dashed var(--accent); outline-offset: 2px; }
.seglab-viewer input.file { position: absolute; width: 1px; height: 1px; opacity: 0; }
.seglab-viewer label.photo { color: var(--ink); border: 1px solid var(--line); border-radius: 5px; padding: .15rem .45rem;
  cursor: pointer; }
.seglab-viewer label.photo:focus-within { outline: 2px solid var(--accent); outline-offset: 1px; }
.seglab-viewer .note:empty { display: none; }
@media (max-width: 34rem) { .seglab-viewer .panes.side { flex-direction: column; }
  .seglab-viewer .panes.side .pane { flex: none; width: 100%; } }
`;
