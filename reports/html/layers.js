// The layers of profiles as a long table with bars: searched, sorted, a page at a time.

const LAYER_MEASURES = {
  saved_distinct_bytes: "Saved, distinct",
  saved_marginal_bytes: "Saved, marginal",
  saved_logical_bytes: "Saved, logical",
  own_peak_bytes: "Owned at the peak",
};

// A bar of parts; `most` fills the width.
function barCell(parts, most, lines) {
  const bar = el("div", {class: "bar", title: lines.join("\n")});
  for (const part of parts) {
    if (part.value <= 0) continue;
    const piece = el("span", {class: `piece ${part.colour}${part.hatched ? " hatched" : ""}`});
    piece.style.width = `${(100 * part.value) / most}%`;
    bar.append(piece);
  }
  return bar;
}

// What is saved with others beside (distinct) what is saved here alone (marginal).
function savedParts(layer) {
  const alone = Math.min(layer.saved_marginal_bytes, layer.saved_distinct_bytes);
  return [
    {value: alone, colour: "m-alone"},
    {value: layer.saved_distinct_bytes - alone, colour: "m-shared", hatched: true}
  ];
}

const BAR_CHOICES = {
  saved: {
    words: "Saved for backward",
    parts: savedParts,
    total: (layer) => layer.saved_distinct_bytes,
    lines: (layer) => [`${bytesText(layer.saved_distinct_bytes)} distinct`,
      `${bytesText(layer.saved_marginal_bytes)} of it saved by nothing else`],
  },
  peak: {
    words: "Owned at the peak, by category",
    parts: (layer) => categoryParts(layer.own_categories_at_peak ?? {}),
    total: (layer) => layer.own_peak_bytes,
    lines: (layer) => categoryParts(layer.own_categories_at_peak ??
      {}).map(({name, value}) => `${name} ${bytesText(value)}`),
  },
};

// Rows that have layers below them hold those layers' bytes too.
function parentsOf(layers) {
  const parents = new Set();
  for (const {name} of layers) {
    for (let at = name.lastIndexOf("."); at > 0; at = name.lastIndexOf(".", at - 1)) {
      parents.add(name.slice(0, at));
    }
  }
  return parents;
}

function layerLabel(layer, parents) {
  return el("span", {class: parents.has(layer.name) ? "layer parent" : "layer"},
    breakable(layerName(layer)));
}

const BAR_LEGENDS = {
  saved: [
    ["m-alone", "marginal: saved by this layer alone", false],
    ["m-shared", "distinct, but saved elsewhere too", true]
  ],
};

function barLegend(choice, layers) {
  if (choice === "peak") {
    return categoryLegend([1, 2].map(() => ({
      parts: categoryParts(layers.reduce(
        (sum, layer) => {
          addTo(sum, layer.own_categories_at_peak);
          return sum;
        },
        {}))
    })));
  }
  return el("ul", {class: "legend"},
    BAR_LEGENDS[choice].map(
      ([colour, text, hatched]) => el("li", null,
        el("span", {class: `piece block-swatch ${colour}${hatched ? " hatched" : ""}`}),
        el("span", null, text))));
}

// Which rows are listed. A module that only gathers others says nothing of its own.
const ROW_CHOICES = {
  layers: ["layers", (layers, parents) => layers.filter(({name}) => !parents.has(name))],
  blocks: [
    "blocks",
    (layers) => layers.filter((layer) => !layers.some(({name, kind}) => kind === "block" &&
                                             layer.name.startsWith(`${name}.`)) &&
        layer.kind !== "module")
  ],
  all: ["layers with their parents", (layers) => layers],
};

function rowChooser(change) {
  return chooser({
    label: "Rows",
    change,
    choices: Object.entries(ROW_CHOICES).map(([key, [text]]) => [key, text])
  });
}

// A part of the list with what can be chosen about it; `build(chosen)` makes the table.
function layerList({title: name, controls, chosen, build}) {
  const holder = el("div");
  const renew = (change) => {
    Object.assign(chosen, change);
    holder.replaceChildren(...build(chosen));
  };
  renew({});
  return el("div", {class: "card"}, el("h3", null, name),
    el("p", {class: "about"}, "Parents, in bold, hold what lies below them too. Headings sort."),
    el("div", {class: "figure-tools"}, controls(renew)), holder);
}

// Gathering modules would make all other bars invisible: they have none.
function scaleOf(rows, value) {
  return mostOf(rows.filter(({kind}) => kind !== "module").map(value), 1);
}

function oneReportLayers(input) {
  const {layers} = input.report.memory;
  const parents = parentsOf(layers);
  const build = ({bars: choice, rows: which}) => {
    const bars = BAR_CHOICES[choice];
    const rows = ROW_CHOICES[which][1](layers, parents);
    const most = scaleOf(rows, bars.total);
    return [
      barLegend(choice, rows), dataTable({
        caption: `Layers of ${input.label}`,
        rows,
        what: ["layer", "layers"],
        searched: (layer) => `${layerName(layer)} ${layer.kind}`,
        columns: [
          {
            label: "Layer",
            value: layerName,
            header: true,
            cell: (layer) => layerLabel(layer, parents)
          },
          {label: "Kind", value: (layer) => layer.kind, narrow: "wide-only"},
          {
            label: bars.words,
            narrow: "bar-cell",
            cell: (layer) => (layer.kind === "module" ?
                null :
                barCell(bars.parts(layer), most, [layerName(layer), ...bars.lines(layer)]))
          },
          ...Object.entries(LAYER_MEASURES).map(([
            key, words_
          ]) => ({label: `${words_} (bytes)`, kind: "bytes", value: (layer) => layer[key]})),
          {label: "Saves", kind: "count", value: (layer) => layer.saved_count, narrow: "wide-only"},
        ]
      })
    ];
  };
  const choices = Object.entries(BAR_CHOICES).map(([key, {words: text}]) => [key, text]);
  return layerList({
    title: "Every layer",
    build,
    chosen: {bars: "saved", rows: "layers"},
    controls: (renew) => [rowChooser((rows) => renew({rows})),
      chooser({label: "Bars show", choices, change: (bars) => renew({bars})})]
  });
}

// Layers by name over all reports, in the order of the first that has them.
function layersByName(inputs) {
  const rows = new Map();
  inputs.forEach((input, index) => {
    for (const layer of input.report.memory.layers) {
      if (!rows.has(layer.name)) rows.set(layer.name, {name: layer.name, kind: layer.kind, of: []});
      rows.get(layer.name).of[index] = layer;
    }
  });
  return [...rows.values()];
}

function comparedLayers(inputs) {
  const all = layersByName(inputs);
  const parents = parentsOf(all);
  const build = ({measure: key, rows: which}) => {
    const rows = ROW_CHOICES[which][1](all, parents);
    const value = (row, i) => row.of[i]?.[key] ?? null;
    const most = scaleOf(rows, (row) => mostOf(inputs.map((_, i) => value(row, i) ?? 0)));
    const bars = (row) => (row.kind === "module" ?
        null :
        inputs.map(
          (input, i) => barCell([{value: value(row, i) ?? 0, colour: `s${i % COLOURS}`}], most, [
            layerName(row), input.label,
            value(row, i) === null ? "no such layer" : bytesText(value(row, i))
          ])));
    return [dataTable({
      caption: `${LAYER_MEASURES[key]} by layer, compared`,
      rows,
      what: ["layer", "layers"],
      searched: (row) => `${layerName(row)} ${row.kind}`,
      columns: [
        {label: "Layer", value: layerName, header: true, cell: (row) => layerLabel(row, parents)},
        {label: LAYER_MEASURES[key], narrow: "bar-cell", cell: bars},
        ...inputs.map((input, i) => ({
          label: `${input.label} (bytes)`,
          kind: "bytes",
          value: (row) => value(row, i),
          reason: () => "the report has nothing of this layer"
        })),
        ...(inputs.length === 2 ? [{
          label: "Change (bytes)",
          kind: "bytes",
          value: (row) => (value(row, 1) ?? 0) - (value(row, 0) ?? 0)
        }] :
                                  []),
      ]
    })];
  };
  const names = el("ul", {class: "legend"},
    inputs.map(
      (input, i) => el("li", null, el("span", {class: `piece block-swatch s${i % COLOURS}`}),
        el("span", null, `${i + 1}. ${input.label}`))));
  return layerList({
    title: "Every layer, compared; bars in the order of the legend",
    build,
    chosen: {measure: "saved_distinct_bytes", rows: "layers"},
    controls: (renew) => [rowChooser((rows) => renew({rows})), chooser({
      label: "Compare",
      choices: Object.entries(LAYER_MEASURES),
      change: (measure) => renew({measure})
    }),
      names]
  });
}

function layersSection(inputs) {
  const shown = inputs.filter(({report}) => report.memory?.layers?.length > 0);
  if (shown.length === 0) return null;
  return section(
    "layers", "Layers", shown.length === 1 ? oneReportLayers(shown[0]) : comparedLayers(shown));
}
