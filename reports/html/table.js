// Real tables: of a figure's values, and the long lists with search, sorting and pages.
//
// A column: {label, kind, value(row), reason(row), cell(row), header, narrow}. `kind` is one of
// KINDS or "text"; a value of null is unknown and reason(row) says why.

const PAGE_ROWS = 25;
// A text up to this length stays on one line.
const SHORT_TEXT = 24;

// Why values are unknown: a letter in the cell, the sentence below the table.
class Footnotes {
  constructor() {
    this.reasons = new Map();
    this.list = el("ul", {class: "footnotes"});
  }

  mark(reason) {
    if (!this.reasons.has(reason)) {
      const letter = String.fromCharCode(97 + (this.reasons.size % 26));
      this.reasons.set(reason, letter);
      this.list.append(el("li", null, el("sup", null, letter), ` unknown: ${reason}`));
    }
    return this.reasons.get(reason);
  }
}

function unknownCell(reason, notes) {
  const why = reason ?? "the report has no such figure";
  return el("span", {class: "unknown", title: `unknown: ${why}`}, "–",
    notes ? el("sup", null, notes.mark(why)) : visuallyHidden(`unknown: ${why}`));
}

// Bytes to the byte, everything else at a readable length with the exact value in `value`.
function tableValue(kind, value) {
  if (kind === "text") return String(value).length > SHORT_TEXT ? breakable(value) : value;
  const shown = kind === "bytes" ? countText(value) : KINDS[kind].shown(value);
  return el("data", {value, title: kind === "bytes" ? bytesText(value) : String(value)}, shown);
}

function cellOf(column, row, notes) {
  const kind = column.kind ?? "text";
  const value = column.value?.(row);
  let content;
  if (column.cell)
    content = column.cell(row);
  else if (value === null || value === undefined)
    content = unknownCell(column.reason?.(row), notes);
  else
    content = tableValue(kind, value);
  const name = column.header ? "th" : "td";
  const short = kind === "text" && !column.header && String(value ?? "").length <= SHORT_TEXT;
  const looks = [kind === "text" ? "" : "number", short ? "short" : "", column.narrow ?? ""];
  return el(
    name, {scope: column.header ? "row" : null, class: looks.join(" ").trim() || null}, content);
}

function compare(a, b) {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", {numeric: true});
}

class DataTable {
  // `searched(row)`: the text that the search field looks in; absent: no field. `what`: one, many.
  constructor({caption, columns, rows, searched, what = ["row", "rows"], pageRows = PAGE_ROWS}) {
    Object.assign(this, {columns, rows, searched, what, pageRows});
    this.sorting = null;
    this.query = "";
    this.page = 0;
    this.head = el("thead");
    this.body = el("tbody");
    this.notes = el("div");
    this.count = el("p", {class: "count", role: "status"});
    this.pager = el("div", {class: "pager"});
    this.table =
      el("table", null, el("caption", {class: "visually-hidden"}, caption), this.head, this.body);
    this.scroller = el(
      "div", {class: "scroller", role: "region", tabindex: "0", "aria-label": caption}, this.table);
    this.node =
      el("div", {class: "data-table"}, this.tools(), this.scroller, this.notes, this.pager);
    this.update();
  }

  tools() {
    if (!this.searched) return this.count;
    return el("div", {class: "tools"},
      searchField(`Search ${this.what[1]}`, (query) => this.search(query)), this.count);
  }

  search(query) {
    this.query = query;
    this.page = 0;
    this.update();
  }

  sortBy(column) {
    // Figures start at the largest, texts at the first; the third press is the given order.
    const first = (column.kind ?? "text") === "text" ? 1 : -1;
    if (this.sorting?.column !== column)
      this.sorting = {column, sign: first};
    else if (this.sorting.sign === first)
      this.sorting = {column, sign: -first};
    else
      this.sorting = null;
    this.page = 0;
    this.update();
  }

  chosen() {
    let rows = this.query ?
      this.rows.filter((row) => this.searched(row).toLowerCase().includes(this.query)) :
      this.rows;
    if (this.sorting) {
      const {column, sign} = this.sorting;
      rows = [...rows].sort((a, b) => {
        const [x, y] = [column.value(a), column.value(b)];
        const known = (value) => value !== null && value !== undefined;
        return known(x) && known(y) ? sign * compare(x, y) : compare(x, y);
      });
    }
    return rows;
  }

  headCell(column) {
    const number = (column.kind ?? "text") !== "text";
    const sorted =
      this.sorting?.column === column ? (this.sorting.sign > 0 ? "ascending" : "descending") : null;
    const attributes = {
      scope: "col",
      "aria-sort": sorted,
      class: [number ? "number" : "", column.narrow ?? ""].join(" ").trim() || null
    };
    if (!column.value || this.rows.length < 2) return el("th", attributes, column.label);
    const arrow = sorted ? (sorted === "ascending" ? "▲" : "▼") : "";
    return el("th", attributes,
      el("button", {type: "button", class: "sort", on: {click: () => this.sortAgain(column)}},
        column.label, el("span", {class: "arrow", "aria-hidden": "true"}, arrow)));
  }

  // Sorting makes the headings anew; the focus stays on the one that was pressed.
  sortAgain(column) {
    this.sortBy(column);
    this.head.querySelectorAll("th")[this.columns.indexOf(column)].querySelector("button").focus();
  }

  update() {
    const rows = this.chosen();
    const pages = Math.max(1, Math.ceil(rows.length / this.pageRows));
    this.page = Math.min(this.page, pages - 1);
    const from = this.page * this.pageRows;
    const shown = rows.slice(from, from + this.pageRows);
    const notes = new Footnotes();
    this.head.replaceChildren(el("tr", null, this.columns.map((column) => this.headCell(column))));
    this.body.replaceChildren(
      ...shown.map((row) => el("tr", {class: row.rowClass ?? null},
                     this.columns.map((column) => cellOf(column, row, notes)))));
    this.notes.replaceChildren(...(notes.reasons.size > 0 ? [notes.list] : []));
    this.describe(rows.length, pages, from, shown.length);
  }

  describe(count, pages, from, shown) {
    const all = this.rows.length;
    const [one, many] = this.what;
    const found =
      count === all ? plural(all, one, many) : `${countText(count)} of ${plural(all, one, many)}`;
    this.count.hidden = !this.searched && pages === 1;
    this.count.textContent =
      pages > 1 ? `${found}; shown: ${countText(from + 1)} to ${countText(from + shown)}` : found;
    this.pager.replaceChildren();
    if (pages === 1) return;
    const go = (page, words, name) => el("button", {
      type: "button",
      "data-page": name,
      disabled: page < 0 || page >= pages || page === this.page,
      on: {click: () => this.turnTo(page, name)}
    },
      words);
    this.pager.append(go(0, "First", "first"), go(this.page - 1, "Previous", "previous"),
      el("span", null, `page ${countText(this.page + 1)} of ${countText(pages)}`),
      go(this.page + 1, "Next", "next"), go(pages - 1, "Last", "last"));
  }

  turnTo(page, name) {
    this.page = page;
    this.update();
    const button = this.pager.querySelector(`[data-page="${name}"]`);
    if (button && !button.disabled)
      button.focus();
    else
      this.pager.querySelector("button:not([disabled])")?.focus();
  }
}

function dataTable(options) {
  return new DataTable(options).node;
}

// Names and texts, two columns.
function pairsTable(caption, pairs) {
  return el("div", {class: "scroller", role: "region", tabindex: "0", "aria-label": caption},
    el("table", {class: "pairs"}, el("caption", {class: "visually-hidden"}, caption),
      el("tbody", null, pairs.map(([name,
        value]) => el("tr", null, el("th", {scope: "row"}, name), el("td", null, value))))));
}
