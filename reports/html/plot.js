// A drawing that fits its place, is drawn again when that changes, and whose values are read by
// pointer or arrow keys. What is drawn comes from the figure: draw(width) -> {drawing, items}.
//
// An item is one value to read: its place {x, y} or {x, y, width, height}, where the arrows find
// it (`row`, `step`), and `lines()`, what it says.

const plots = [];
const PRINT_WIDTH = 680;

function nearest(items, x, y) {
  const inside = items.find((item) => item.width !== undefined && x >= item.x &&
      x < item.x + item.width && y >= item.y && y < item.y + item.height);
  if (inside) return inside;
  let best = null;
  let least = 40 * 40;
  for (const item of items) {
    if (item.width !== undefined) continue;
    // On a line it is the moment that is pointed at, not the height.
    const across = item.x - x;
    const up = (item.y - y) * (item.alongX ? 0.05 : 1);
    const distance = across * across + up * up;
    if (distance < least) [best, least] = [item, distance];
  }
  return best;
}

// The items of a row lie in order of `step`; another row is entered at the place most like this.
function neighbour(items, current, key) {
  if (!current) return items[0];
  const rows = [...new Set(items.map((item) => item.row))];
  const row = items.filter((item) => item.row === current.row);
  const at = row.indexOf(current);
  const far = Math.max(1, Math.round(row.length / 20));
  const along = {
    ArrowRight: 1,
    ArrowLeft: -1,
    PageDown: far,
    PageUp: -far,
    Home: -row.length,
    End: row.length
  }[key];
  if (along) return row[Math.min(row.length - 1, Math.max(0, at + along))];
  const next = rows[rows.indexOf(current.row) + (key === "ArrowDown" ? 1 : -1)];
  if (next === undefined) return current;
  return items.filter((item) => item.row === next)
    .reduce(
      (best, item) =>
        (Math.abs(item.step - current.step) < Math.abs(best.step - current.step) ? item : best));
}

const CURSOR_KEYS =
  new Set(["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"]);

class Plot {
  constructor({label, about, draw, leastWidth = 0}) {
    this.label = label;
    this.about = about;
    this.draw = draw;
    this.leastWidth = leastWidth;
    this.items = [];
    this.current = null;
    this.width = 0;
    this.tip = el("div", {class: "tip", "aria-hidden": "true", hidden: true});
    this.said = el("p", {class: "visually-hidden", role: "status"});
    this.surface = el("div", {
      class: "surface",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "chart",
      "aria-label": `${label}. The arrow keys read its values.`,
      on: {
        pointermove: (event) => this.pointed(event),
        pointerdown: (event) => this.pointed(event),
        pointerleave: () => this.show(null),
        keydown: (event) => this.pressed(event),
        blur: () => this.show(null),
      },
    });
    this.node = el("div", {class: "plot"}, this.surface, this.tip, this.said);
    plots.push(this);
    resized.observe(this.node);
  }

  redraw(given) {
    const width = Math.max(this.leastWidth, Math.floor(given ?? this.node.clientWidth));
    if (width <= 0) return;
    this.width = width;
    const {drawing, items} = this.draw(width);
    const title = svg("title", {id: freshId("title")}, this.label);
    const about = svg("desc", {id: freshId("about")}, this.about());
    drawing.prepend(title, about);
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-labelledby", `${title.id} ${about.id}`);
    this.mark = svg("g", {class: "cursor"});
    drawing.append(this.mark);
    this.surface.replaceChildren(drawing);
    this.items = items;
    this.show(null);
  }

  pointed(event) {
    const box = this.surface.firstChild.getBoundingClientRect();
    this.show(nearest(this.items, event.clientX - box.left, event.clientY - box.top));
  }

  pressed(event) {
    if (event.key === "Escape") {
      this.show(null);
      this.said.textContent = "";
    } else if (CURSOR_KEYS.has(event.key) && !event.ctrlKey && !event.altKey && !event.metaKey) {
      if (this.items.length > 0) this.show(neighbour(this.items, this.current, event.key));
      this.said.textContent = this.current ? this.current.lines().join(", ") : "";
    } else {
      return;
    }
    event.preventDefault();
  }

  show(item) {
    this.current = item;
    this.tip.hidden = !item;
    this.mark?.replaceChildren();
    if (!item) return;
    const wide = item.width !== undefined;
    this.mark.append(wide ?
        svg(
          "rect", {x: item.x - 1, y: item.y - 1, width: item.width + 2, height: item.height + 2}) :
        svg("circle", {cx: item.x, cy: item.y, r: 6}));
    const [first, ...rest] = item.lines();
    this.tip.replaceChildren(
      el("strong", null, first), ...rest.map((line) => el("div", null, line)));
    this.place(item, wide);
  }

  // Beside the value, and never out of the figure.
  place(item, wide) {
    const scrolled = this.surface.scrollLeft;
    const middle = item.x + (wide ? item.width / 2 : 0) - scrolled;
    const room = this.node.clientWidth;
    const width = Math.min(this.tip.offsetWidth, room);
    const right = item.x + (wide ? item.width : 0) - scrolled + 12;
    const left = right + width <= room ? right : Math.max(0, middle - width - 14);
    const above = item.y - this.tip.offsetHeight - 10;
    this.tip.style.left = `${left}px`;
    this.tip.style.top = `${above >= 0 ? above : item.y + (wide ? item.height : 0) + 12}px`;
  }
}

const resized = new ResizeObserver((entries) => {
  for (const {target} of entries) {
    const plot = plots.find(({node}) => node === target);
    const width = Math.max(plot.leastWidth, Math.floor(target.clientWidth));
    if (target.clientWidth > 0 && width !== plot.width) plot.redraw();
  }
});

function redrawAll(width) {
  for (const plot of plots) {
    if (plot.node.isConnected) plot.redraw(width);
  }
}

// ---- what looks the same in every drawing

// Around (0, 0), in relative steps, so that many stand in one path.
const MARKERS = [
  (r) => `m${r},0a${r},${r} 0 1 1 ${- 2 * r},0a${r},${r} 0 1 1 ${2 * r},0z`,
  (r) => `m${- r},${- r}h${2 * r}v${2 * r}h${- 2 * r}z`,
  (r) => `m0,${- 1.3 * r}l${1.2 * r},${2.2 * r}h${- 2.4 * r}z`,
  (r) => `m0,${- 1.4 * r}l${1.4 * r},${1.4 * r}l${- 1.4 * r},${1.4 * r}l${- 1.4 * r},${- 1.4 * r}z`,
  (r) => `m0,${1.3 * r}l${1.2 * r},${- 2.2 * r}h${- 2.4 * r}z`,
  (r) =>
    `m${- 0.4 * r},${- r}h${0.8 * r}v${0.6 * r}h${0.6 * r}v${0.8 * r}h${- 0.6 * r}v${0.6 * r}` +
    `h${- 0.8 * r}v${- 0.6 * r}h${- 0.6 * r}v${- 0.8 * r}h${0.6 * r}z`,
  (r) => `m0,${- 1.3 * r}l${1.25 * r},${0.9 * r}l${- 0.45 * r},${1.5 * r}h${- 1.6 * r}` +
    `l${- 0.45 * r},${- 1.5 * r}z`,
];
const DASHES = [null, "7 4", "2 3", "9 3 2 3", "12 5"];
const COLOURS = 8;

// Colour, marker and dash together tell series apart; none of them alone has to.
function styleOf(index) {
  const turn = Math.floor(index / COLOURS);
  return {
    colour: `s${index % COLOURS}`,
    marker: MARKERS[(index + turn) % MARKERS.length],
    dash: DASHES[(index + turn) % DASHES.length],
  };
}

function canvas(width, height) {
  return svg("svg", {width, height, viewBox: `0 0 ${width} ${height}`});
}

function label(x, y, text, attributes) {
  return svg("text", {x, y, ...attributes}, text);
}

const LETTER = 7;

// How wide a text of the figures' size is, near enough to lay it out before it is drawn.
function textWidth(text) {
  return LETTER * text.length;
}

// `text` cut so that it fits `width`; empty where nothing readable would be left.
function fitted(text, width) {
  if (textWidth(text) <= width) return text;
  const letters = Math.floor(width / LETTER) - 1;
  return letters >= 3 ? `${text.slice(0, letters)}…` : "";
}

// The same with its end kept: names that begin alike differ there.
function fittedEnd(text, width) {
  if (textWidth(text) <= width) return text;
  const letters = Math.floor(width / LETTER) - 1;
  return letters >= 3 ? `…${text.slice(-letters)}` : "";
}

function swatch(index, {line = true, marker = true, solid = false} = {}) {
  const style = styleOf(index);
  return svg("svg", {
    class: `swatch ${style.colour}`,
    width: 26,
    height: 12,
    viewBox: "0 0 26 12",
    "aria-hidden": "true"
  },
    line &&
      svg("path", {class: "line", d: "M1,6H25", "stroke-dasharray": solid ? null : style.dash}),
    marker && svg("path", {class: "marker", d: `M13,6${style.marker(4)}`}));
}

function seriesLegend(series) {
  return el("ul", {class: "legend"},
    series.map(({name, title: spec, style, line = false, marker, solid, faint}) =>
                 el("li", {title: spec, class: faint ? "faint" : null},
                   swatch(style, {line, marker, solid}), el("span", null, name))));
}
