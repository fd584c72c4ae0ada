/* One stop of the Tab key for many buttons: arrow keys go from one to the next (WAI-ARIA, roving tabindex). */

/** @param rows the focusable elements, row by row; rows may hold null. @param first the one that Tab reaches first */
export function roving(rows, first = null) {
  const all = rows.flat().filter(Boolean);
  for (const element of all) element.setAttribute("tabindex", -1);
  let current = first ?? all[0];
  current?.setAttribute("tabindex", 0);
  const focus = (element) => {
    current.setAttribute("tabindex", -1);
    (current = element).setAttribute("tabindex", 0);
  };
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  rows.forEach((row, y) => row.forEach((element, x) => element?.addEventListener("keydown", (event) => {
    const next = event.key in moves ? beyond(rows, y, x, ...moves[event.key])
      : event.key === "Home" ? row.find(Boolean) : event.key === "End" ? row.findLast(Boolean) : null;
    if (!next) return;
    event.preventDefault();
    next.focus();
  })));
  for (const element of all) element.addEventListener("focus", () => focus(element));
}

/** The next element in a direction. A single row continues up and down. */
function beyond(rows, y, x, down, right) {
  if (rows.length === 1) [down, right] = [0, down + right];
  do [y, x] = [y + down, x + right];
  while (rows[y]?.[x] === null);
  return rows[y]?.[x];
}
