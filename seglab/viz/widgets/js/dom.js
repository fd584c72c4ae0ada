/* Elements, text formats and the colours that all views share. */

/** CSS variables of a root element: light by default; dark on a dark system, unless JupyterLab's theme or a class decides. */
export const theme = (root) => {
  const light = "--ink: #1f2933; --soft: #62707d; --line: #d5dbe1; --paper: #fff; --accent: #30638e;";
  const dark = "--ink: #e6eaee; --soft: #9aa7b3; --line: #3b4650; --paper: #161b20; --accent: #7fb2dd;";
  return `${root} { ${light} color: var(--ink); background: var(--paper); }
@media (prefers-color-scheme: dark) { ${root}:not(.light) { ${dark} } }
[data-jp-theme-light="true"] ${root} { ${light} }
[data-jp-theme-light="false"] ${root}, ${root}.dark { ${dark} }
${root} select, ${root} button { font: inherit; color: var(--ink); background: var(--paper);
  border: 1px solid var(--line); border-radius: 5px; padding: .15rem .45rem; }
${root} button { cursor: pointer; }
${root} :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
`;
};

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children. Strings become text, never markup. */
export function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "circle", "line", "text", "title"].includes(tag);
  const element = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  // JupyterLab binds keys of its own; an element with this attribute keeps them for itself.
  if (["input", "select", "button"].includes(tag) || "tabindex" in attributes) element.dataset.lmSuppressShortcuts = "true";
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A root element with the styles of its view. */
export const rootOf = (name, style, ...children) =>
  h("div", { class: name }, h("style", {}, theme(`.${name}`) + style), ...children);

/** A small square in a class colour. */
export const swatch = (color) =>
  h("span", { class: "swatch", "aria-hidden": "true", style: `background: rgb(${color.join()})` });

export const percent = (fraction) =>
  fraction >= 0.0995 ? `${Math.round(100 * fraction)} %` : `${(100 * fraction).toFixed(1)} %`;
