// Elements without markup: whatever the host, a broker or a client wrote is only ever text.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

// Changes the text only when it differs, so that a selection or a screen reader is not disturbed each second.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

// A table whose rows are kept by key, so that focus and selection survive each new state.
// Columns: { title, cell(row) → text | node | { text, badge, title }, number, words (may be long), hint }.
export class Table {
  constructor({ caption, columns, key, empty, onSelect, hint }) {
    Object.assign(this, { columns, key, onSelect });
    this.rows = new Map();
    this.body = el("tbody");
    this.empty = el("p", { class: "empty" }, empty);
    this.table = el(
      "table",
      { "aria-label": caption },
      el("thead", null, el("tr", null, columns.map((column) =>
        el("th", { scope: "col", class: column.number ? "number" : null, title: column.hint ?? null }, column.title)))),
      this.body,
    );
    this.scroller = el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": `${caption}, scrollable` }, this.table);
    this.root = el("div", { class: "table" }, this.scroller, this.empty, hint ? el("p", { class: "quiet" }, hint) : null);
  }

  update(rows) {
    const seen = new Set();
    let place = this.body.firstElementChild;
    for (const row of rows) {
      const key = String(this.key(row));
      seen.add(key);
      let known = this.rows.get(key);
      if (!known) {
        known = { element: el("tr"), cells: this.columns.map((column) => el("td", { class: column.number ? "number" : column.words ? "words" : null })) };
        known.element.append(...known.cells);
        this.rows.set(key, known);
        if (this.onSelect) {
          known.element.addEventListener("click", () => this.onSelect(known.row));
        }
      }
      known.row = row;
      this.columns.forEach((column, at) => show(known.cells[at], column, row));
      if (known.element !== place) this.body.insertBefore(known.element, place);
      else place = place.nextElementSibling;
    }
    for (const [key, known] of this.rows) {
      if (!seen.has(key)) {
        known.element.remove();
        this.rows.delete(key);
      }
    }
    this.scroller.hidden = rows.length === 0;
    this.empty.hidden = rows.length !== 0;
  }
}

function show(cell, column, row) {
  const shown = column.cell(row);
  // A column that keeps elements of its own says so by returning one.
  if (shown instanceof Node) {
    if (cell.firstChild !== shown) cell.replaceChildren(shown);
    return;
  }
  const { text, badge, title } = typeof shown === "object" && shown !== null ? shown : { text: shown };
  if (badge) {
    let inner = cell.firstElementChild;
    if (!inner) cell.append((inner = el("span")));
    setClass(inner, `badge ${badge}`);
    setText(inner, text);
  } else {
    setText(cell, text);
  }
  if (title) cell.title = title;
  else if (cell.title) cell.removeAttribute("title");
}
