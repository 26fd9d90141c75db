// Rows by layers, a colour a cell, whose values the arrow keys read.

// From low to high: dark blue over grey to yellow, which every kind of colour vision tells apart
// and which grey paper keeps in order.
const SEQUENTIAL =
  [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [253, 231, 55]];
// Below, at and above a middle value.
const DIVERGING = [[30, 84, 148], [122, 163, 204], [238, 238, 238], [226, 164, 105], [166, 77, 11]];

function mixed(stops, share) {
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(at));
  return stops[low].map((value, i) => Math.round(value + (at - low) * (stops[low + 1][i] - value)));
}

// value -> colour, with the two ends. `middle`: a value that both sides are measured from.
function colourScale(values, {low, high, middle}) {
  const known = values.filter((value) => value !== null && Number.isFinite(value));
  const least = leastOf(known, low);
  const most = mostOf(known, high);
  if (middle === undefined) {
    const span = most - least || 1;
    return {low: least, high: most, of: (value) => mixed(SEQUENTIAL, (value - least) / span)};
  }
  const reach = Math.max(most - middle, middle - least) || 1;
  return {
    low: middle - reach,
    high: middle + reach,
    of: (value) => mixed(DIVERGING, 0.5 + (value - middle) / (2 * reach))
  };
}

function paint(colour) {
  return `rgb(${colour.join(",")})`;
}

function readableOn([red, green, blue]) {
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 120 ? "#000000" : "#ffffff";
}

// The scale as a strip with its ends.
function colourKey(scale, kind) {
  const steps = 24;
  const strip = svg("svg", {width: 144, height: 14, "aria-hidden": "true"},
    Array.from({length: steps}, (_, i) => svg("rect", {
      x: 6 * i,
      y: 0,
      width: 6.5,
      height: 14,
      fill: paint(scale.of(scale.low + ((i + 0.5) / steps) * (scale.high - scale.low)))
    })));
  return el("p", {class: "colour-key"}, el("span", null, KINDS[kind].shown(scale.low)), strip,
    el("span", null, KINDS[kind].shown(scale.high)), el("span", {class: "unknown-key"}, "unknown"));
}

const CELL_HEIGHT = 22;

// `rows`: [{name, lines, values: [value per column], reason(i)}]; `columns`: names.
function heatMap({label: name, about, rows, columns, kind, scale}) {
  const longest = Math.max(...columns.map((one) => one.length));
  const below = 20 + 0.77 * Math.min(26, longest) * 6.7;
  const names = Math.min(270, Math.max(...rows.map((row) => textWidth(row.name))) + 12);
  const draw = (width) => {
    const beside = width > 560;
    const left = beside ? names : 8;
    const pitch = Math.min(46, (width - left - 4) / columns.length);
    const tall = CELL_HEIGHT + (beside ? 0 : 18);
    const height = rows.length * tall + below;
    const drawing = canvas(width, height);
    const items = [];
    rows.forEach((row, i) => {
      const y = i * tall + (beside ? 0 : 18);
      drawing.append(beside ?
          label(left - 8, y + 15, fittedEnd(row.name, names - 10),
            {"text-anchor": "end", class: "row-name"}) :
          label(left, y - 5, fittedEnd(row.name, width - 12), {class: "row-name"}));
      row.values.forEach((value, j) => {
        const box = {x: left + j * pitch, y, width: Math.max(0.5, pitch), height: CELL_HEIGHT - 1};
        drawing.append(...cellNodes(value, box, kind, scale));
        items.push({
          ...box,
          row: i,
          step: j,
          lines:
            () => [value === null ? `unknown: ${row.reason?.(j) ?? "not in the report"}` :
                                    `${KINDS[kind].shown(value)}${
                                      kind === "bytes" ? `, ${KINDS.bytes.exact(value)}` : ""}`,
              columns[j], row.name]
        });
      });
    });
    drawing.append(slantedNames(columns, (j) => left + (j + 0.5) * pitch, height - below + 12));
    return {drawing, items};
  };
  return new Plot(
    {label: name, about: () => about, draw, leastWidth: Math.min(3000, 8 + 7 * columns.length)});
}

function cellNodes(value, box, kind, scale) {
  if (value === null || !Number.isFinite(value)) {
    return [svg("rect", {...box, class: "unknown-cell"})];
  }
  const colour = scale.of(value);
  const gap = box.width > 6 ? 1 : 0;
  const cell = svg("rect", {...box, width: box.width - gap, fill: paint(colour)});
  const text = kind === "ratio" ? value.toFixed(2) : "";
  if (!text || box.width < 34) return [cell];
  return [
    cell,
    label(box.x + (box.width - gap) / 2, box.y + 15, text,
      {"text-anchor": "middle", class: "in-cell", fill: readableOn(colour)})
  ];
}

const NAME_PITCH = 15;

// Names below columns: those that have room, in order.
function slantedNames(names, middle, y) {
  const group = svg("g", {class: "axis"});
  let end = -Infinity;
  names.forEach((name, i) => {
    const x = middle(i);
    if (x - NAME_PITCH / 2 < end) return;
    group.append(
      svg("text", {"text-anchor": "end", transform: `translate(${x + 4} ${y}) rotate(-50)`},
        name.length > 26 ? `…${name.slice(-25)}` : name));
    end = x + NAME_PITCH / 2;
  });
  return group;
}
