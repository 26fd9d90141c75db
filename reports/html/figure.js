// A figure: its title, what is seen, the drawing, and its table one click away.

const openedForPrint = [];
const figures = [];

// `table()`: makes the node of the table, on the first click. `controls`, `legend`: nodes.
function figure({title, about, plot, legend, controls, table}) {
  const holder = el("div", {class: "figure-table", id: freshId("table"), hidden: true});
  let made = false;
  const open = (shown) => {
    if (shown && !made) {
      holder.replaceChildren(table());
      made = true;
    }
    holder.hidden = !shown;
    button.setAttribute("aria-expanded", String(shown));
    button.textContent = shown ? "Hide table" : "Table";
    button.setAttribute("aria-label", `${button.textContent} of: ${title}`);
  };
  const button = el("button", {
    type: "button", class: "table-button", "aria-controls": holder.id,
    on: {click: () => open(holder.hidden)}});
  const node = el("figure", null,
    el("figcaption", null, el("h3", null, title), about && el("p", {class: "about"}, about)),
    el("div", {class: "figure-tools"}, controls, button), legend, plot, holder);
  open(false);
  figures.push({node, open, isOpen: () => !holder.hidden});
  return {
    node,
    // The values have changed: an open table is made anew.
    renew: () => {
      made = false;
      if (!holder.hidden) open(true);
    },
  };
}

function openTablesForPrint() {
  for (const one of figures) {
    if (!one.node.isConnected || one.isOpen()) continue;
    one.open(true);
    openedForPrint.push(one);
  }
}

function closeTablesAfterPrint() {
  for (const one of openedForPrint.splice(0)) one.open(false);
}

function section(id, title, ...content) {
  return el("section", {id, "aria-labelledby": `${id}-title`},
    el("h2", {id: `${id}-title`}, title), content);
}
