// A figure: its title, what is seen, the drawing, and its table one click away.

// What can be opened and closed: {node, open(shown), isOpen()}.
const foldable = [];
const openedForPrint = [];

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
    type: "button",
    class: "table-button",
    "aria-controls": holder.id,
    on: {click: () => open(holder.hidden)}
  });
  const node = el("figure", null,
    el("figcaption", null, el("h3", null, title), about && el("p", {class: "about"}, about)),
    el("div", {class: "figure-tools"}, controls, button), legend, plot, holder);
  open(false);
  foldable.push({node, open, isOpen: () => !holder.hidden});
  return {
    node,
    // The values have changed: an open table is made anew.
    renew: () => {
      made = false;
      if (!holder.hidden) open(true);
    },
  };
}

// A part that opens on a click; its content is made then.
function folded(title, content) {
  const details = el("details", null, el("summary", null, title));
  const open = (shown) => {
    if (shown && details.childElementCount === 1) details.append(content());
    details.open = shown;
  };
  details.addEventListener("toggle", () => open(details.open));
  foldable.push({node: details, open, isOpen: () => details.open});
  return details;
}

// Paper cannot be clicked: all is open while it is printed.
function openForPrint() {
  for (const one of foldable) {
    if (!one.node.isConnected || one.isOpen()) continue;
    one.open(true);
    openedForPrint.push(one);
  }
}

function closeAfterPrint() {
  for (const one of openedForPrint.splice(0)) one.open(false);
}

function section(id, title, ...content) {
  return el("section", {id, "aria-labelledby": `${id}-title`}, el("h2", {id: `${id}-title`}, title),
    content);
}
