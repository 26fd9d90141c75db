// Elements without markup in strings: every text of a report goes in as a text node or through
// setAttribute, so nothing in it can become an element or a script.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) node.append(child);
  }
  return node;
}

function el(name, attributes, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function svg(name, attributes, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

let lastId = 0;

// A name for aria-labelledby and the like that nothing else on the page has.
function freshId(word) {
  lastId += 1;
  return `${word}-${lastId}`;
}

function visuallyHidden(text) {
  return el("span", {class: "visually-hidden"}, text);
}

// A long name that may be broken after its dots, commas and the like.
function breakable(text) {
  return String(text).split(/(?<=[.,+|/:])/).flatMap((part, i) => (i > 0 ? [el("wbr"), part] : [
    part
  ]));
}

// A <select> with its label. `choices`: [value, words] pairs.
function chooser({label, choices, value, change}) {
  const id = freshId("choice");
  const select = el("select", {id, on: {change: () => change(select.value)}},
    choices.map(([key, words]) => el("option", {value: key}, words)));
  select.value = value ?? choices[0][0];
  return el("span", {class: "chooser"}, el("label", {for: id
  }, label), select);
}

// A search field with its label; Escape empties it. `change`: what is searched, in small letters.
function searchField(text, change) {
  const id = freshId("search");
  const tell = () => change(input.value.trim().toLowerCase());
  const input = el("input", {
    id,
    type: "search",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "part of a name",
    on: {
      input: tell,
      keydown: (event) => {
        if (event.key !== "Escape") return;
        input.value = "";
        tell();
      },
    },
  });
  return el("span", {class: "chooser"}, el("label", {for: id
  }, text), input);
}
