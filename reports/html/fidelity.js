// How wrong is the gradient? Strategies against the exact gradient: overall, over layers, against
// the bytes that they save.

const FIDELITY_MEASURES = {
  cosine: {words: "Cosine", best: 1},
  local_cosine: {words: "Local cosine", best: 1},
  relative_error: {words: "Relative error", best: 0},
  norm_ratio: {words: "Norm ratio", best: 1},
  sign_agreement: {words: "Equal signs", best: 1},
};
const OVERALL_MEASURES = ["cosine", "relative_error", "norm_ratio", "sign_agreement"];
const BYTES_MEASURES = {
  saved_distinct_bytes: "Saved for backward",
  peak_bytes: "Peak"
};
const BASELINE_WORDS = {
  half_batch: "half the batch",
  other_batch: "another batch"
};

function baselineName({name}) {
  return BASELINE_WORDS[name] ?? words(name);
}

function measureOf(key) {
  return {kind: "ratio", value: (row) => row[key] ?? null, reason: (row) => row[`${key}_reason`]};
}

function strategiesTable(input, names) {
  const {baselines, strategies} = input.report.fidelity;
  const rows = [
    ...strategies.map((one, i) => ({...one, title: names[i]})),
    ...baselines.map(
      (one) =>
        ({...one, title: `baseline: ${baselineName(one)}`, spec: null, rowClass: "baseline"}))
  ];
  const only = (value) => (row) => (row.spec === null ? "" : value(row));
  const ofStrategy = (key, kind) => ({
    kind,
    value: (row) => row[key] ?? null,
    reason: (row) => (row.spec === null ? "a baseline stores what the full backward pass does" :
                                          row[`${key}_reason`])
  });
  const noise = (key) => ({
    kind: "number",
    value: (row) => row.noise?.[key] ?? null,
    reason: (row) =>
      (row.spec === null ? "a baseline draws no masks" : row.noise?.[`${key}_reason`])
  });
  return dataTable({
    caption: "Strategies and baselines",
    rows,
    what: ["row", "rows"],
    columns: [
      {
        label: "Strategy",
        value: (row) => row.title,
        header: true,
        cell: (row) => el("span", {title: row.spec}, breakable(row.title))
      },
      ...OVERALL_MEASURES.map((key) => ({label: FIDELITY_MEASURES[key].words, ...measureOf(key)})),
      {
        label: "Worst layer's cosine",
        kind: "ratio",
        value: (row) => row.over_layers?.cosine?.minimum ?? null,
        reason: (row) => row.over_layers?.cosine?.minimum_reason
      },
      {label: "Worst layer", value: (row) => row.over_layers?.cosine?.minimum_layer ?? ""},
      {label: "Saved distinct (bytes)", ...ofStrategy("saved_distinct_bytes", "bytes")},
      {label: "Peak (bytes)", ...ofStrategy("peak_bytes", "bytes")},
      {label: "Indices (bytes)", ...ofStrategy("saved_index_bytes", "bytes")},
      {label: "Keep, got", ...ofStrategy("effective_keep_ratio", "ratio")},
      {label: "Forward", value: only((row) => (row.forward_exact ? "exact" : "changed"))},
      {label: "Update cosine", ...measureOf("update_cosine")},
      {label: "Masks", kind: "count", ...noise("masks")},
      {label: "Cosine of the mean", ...noise("cosine_of_mean")},
      {label: "Bias², relative", ...noise("squared_bias")},
      {label: "Variance, relative", ...noise("variance")},
      {label: "Noise ratio", ...noise("noise_ratio")},
      {label: "Effective batch", ...noise("effective_batch")},
      {label: "Scoring", value: only((row) => words(row.scoring ?? ""))},
      {
        label: "Whole spec",
        value: only((row) => row.spec),
        cell: only((row) => row.spec),
        narrow: "spec"
      },
    ]
  });
}

// ---- bytes against fidelity

// What can be drawn against the bytes. Cosines near 1 are told apart by how far they are from it.
const HEIGHTS = {
  cosine: {words: "Cosine", better: "more", of: (one) => one.cosine},
  distance: {
    words: "1 − cosine",
    better: "less",
    log: true,
    of: (one) => (one.cosine === null || one.cosine >= 1 ? null : 1 - one.cosine)
  },
  relative_error: {words: "Relative error", better: "less", of: (one) => one.relative_error},
  norm_ratio: {words: "Norm ratio", better: "1", of: (one) => one.norm_ratio},
  sign_agreement: {words: "Equal signs", better: "more", of: (one) => one.sign_agreement},
};

// Above this all strategies would lie at the upper edge.
const NEAR_ONE = 0.9;

function heightText({log}, value) {
  return log ? numberText(value, 3) : KINDS.ratio.shown(value);
}

function tradeOffSeries(strategies, names, {x, height}) {
  return strategies.map((one, i) => ({
    name: names[i],
    title: one.spec,
    style: i,
    points: typeof height.of(one) === "number" && typeof one[x] === "number" ? [{
      x: one[x],
      y: height.of(one),
      name: names[i],
      lines: () => [names[i], `${height.words} ${heightText(height, height.of(one))}`,
        `${BYTES_MEASURES[x]} ${bytesText(one[x])}, ${countText(one[x])} bytes`]
    }] :
                                                                               []
  }));
}

function tradeOffDrawing({strategies, baselines}, names, chosen) {
  const {x, height} = chosen;
  const series = tradeOffSeries(strategies, names, chosen);
  const drawn = series.filter(({points}) => points.length > 0);
  if (drawn.length === 0) return [el("p", {class: "about"}, "No strategy has both figures.")];
  const rules = chosen.baselines ? baselines.filter((one) => typeof height.of(one) === "number")
                                     .map((one) => ({y: height.of(one), name: baselineName(one)})) :
                                   [];
  const missing = series.filter(({points}) => points.length === 0).map(({name}) => name);
  return [
    seriesLegend(drawn), lineChart({
      label: `${height.words} against bytes`,
      series: drawn,
      rules,
      height: 340,
      about: drawn.map(({points}) => points[0].lines().join(", ")).join("; ") + ". " +
        rules.map(({y, name}) => `Baseline ${name}: ${heightText(height, y)}`).join("; "),
      x: {kind: "bytes", label: BYTES_MEASURES[x]},
      y: {kind: "ratio", label: `${height.words}, ${height.better} is best`, log: height.log},
    }).node,
    missing.length > 0 &&
      el("p", {class: "about"},
        `Not drawn: ${missing.join(", ")}` +
          (height.log ? ", whose cosine is 1 or unknown." : ", which lack one of the figures."))
  ].filter(Boolean);
}

function tradeOff(input, names) {
  const {strategies, baselines} = input.report.fidelity;
  const near = strategies.every(({cosine}) => cosine === null || cosine > NEAR_ONE) &&
    strategies.some((one) => HEIGHTS.distance.of(one) !== null);
  const start = near ? "distance" : "cosine";
  const chosen = {x: "saved_distinct_bytes", height: HEIGHTS[start], baselines: true};
  const holder = el("div");
  const build = (change) => {
    Object.assign(chosen, change);
    holder.replaceChildren(...tradeOffDrawing(input.report.fidelity, names, chosen));
    redrawAll();
  };
  const toggle = el("button", {
    type: "button",
    "aria-pressed": "true",
    on: {
      click: () => {
        build({baselines: !chosen.baselines});
        toggle.setAttribute("aria-pressed", String(chosen.baselines));
      }
    }
  },
    "Baselines");
  const controls = [
    chooser({label: "Bytes", choices: Object.entries(BYTES_MEASURES), change: (x) => build({x})}),
    chooser({
      label: "Fidelity",
      value: start,
      change: (key) => build({height: HEIGHTS[key]}),
      choices: Object.entries(HEIGHTS).map(
        ([key, {words: text, log}]) => [key, log ? `${text}, logarithmic` : text])
    }),
    baselines.length > 0 && toggle
  ];
  build({});
  return figure({
    title: "Fidelity against bytes",
    controls,
    plot: holder,
    about: "Further left are fewer bytes. Dashed: the exact gradient of other samples.",
    table: () => strategiesTable(input, names)
  }).node;
}

// ---- over layers

// From the worst to the best layer with the mean, a strategy a line.
function spreadFigure(input, names) {
  const {strategies, baselines} = input.report.fidelity;
  const all = [
    ...strategies.map((one, i) => ({name: names[i], ...one})),
    ...baselines.map((one) => ({...one, name: `baseline: ${baselineName(one)}`}))
  ];
  const shown = all.filter(({over_layers: over}) => typeof over?.cosine?.mean === "number");
  if (shown.length === 0) return null;
  const name = "Cosine over layers: worst, mean, best";
  return figure({
    title: name,
    about: "An overall cosine hides dead layers; these do not.",
    plot: rangeChart({
      label: name,
      kind: "ratio",
      axisLabel: "Cosine with the exact gradient",
      rows: shown.map(({name: title, over_layers: {cosine}}) => ({name: title, ...cosine}))
    }).node,
    table: () => dataTable({
      caption: name,
      rows: shown,
      what: ["row", "rows"],
      columns: [
        {label: "Strategy", value: (row) => row.name, header: true},
        ...OVERALL_MEASURES.flatMap((key) => ["mean", "minimum", "maximum"].map((of) => ({
          label: `${FIDELITY_MEASURES[key].words}, ${of}`,
          kind: "ratio",
          value: (row) => row.over_layers[key]?.[of] ?? null,
          reason: (row) => row.over_layers[key]?.[`${of}_reason`]
        }))),
        {label: "Least cosine in", value: (row) => row.over_layers.cosine.minimum_layer ?? ""},
        {label: "Largest cosine in", value: (row) => row.over_layers.cosine.maximum_layer ?? ""},
      ]
    }),
  }).node;
}

const HEAT_COLUMNS = 120;

function heatScale(key, values) {
  if (key === "norm_ratio") return colourScale(values, {middle: 1});
  if (key === "relative_error") return colourScale(values, {low: 0});
  return colourScale(values, {high: 1});
}

// All layers of the rows, by the first that has them, without those that only hold others.
function layersOf(rows) {
  const layers = new Map();
  for (const {layers: own} of rows) {
    for (const {name, kind} of own)
      if (!layers.has(name)) layers.set(name, {name, kind});
  }
  const all = [...layers.values()];
  const parents = parentsOf(all);
  return all.filter(({name}) => !parents.has(name));
}

// What a map shows: rows by layers, of one group of rows at a time.
class LayerValues {
  constructor({name, rows}) {
    this.name = name;
    this.rows = rows;
    this.layers = layersOf(rows);
    this.byName = rows.map(({layers}) => new Map(layers.map((layer) => [layer.name, layer])));
  }

  value(i, layer, key) {
    return this.byName[i].get(layer.name)?.[key] ?? null;
  }

  reason(i, layer, key) {
    const own = this.byName[i].get(layer.name);
    return own ? own[`${key}_reason`] : "no such layer here";
  }

  has(key) {
    return this.rows.some(({layers}) => layers.some((layer) => typeof layer[key] === "number"));
  }

  all(key) {
    return this.rows.flatMap((_, i) => this.layers.map((layer) => this.value(i, layer, key)));
  }
}

// A stretch of the layers that are called so, drawn.
function layerStretch(values, {key, from, query}, measure, go) {
  const {words: text, kind, scale} = measure;
  const found = values.layers.filter((layer) => layerName(layer).toLowerCase().includes(query));
  if (found.length === 0) return [el("p", {class: "about"}, "No layer is called so.")];
  const shown = found.slice(from, from + HEAT_COLUMNS);
  const colours = scale(values.all(key));
  const map = heatMap({
    label: `${text} by layer`,
    kind,
    scale: colours,
    columns: shown.map(layerName),
    about: `${plural(values.rows.length, "row")}, ${plural(shown.length, "layer")}; from ` +
      `${KINDS[kind].shown(colours.low)} (dark) to ${KINDS[kind].shown(colours.high)} (light).`,
    rows: values.rows.map((row, i) => ({
      name: row.name,
      values: shown.map((layer) => values.value(i, layer, key)),
      reason: (j) => values.reason(i, shown[j], key)
    }))
  });
  return [colourKey(colours, kind), map.node, stretchPager(found.length, from, go)];
}

function layerMapTable(title_, values, key, {words: text, kind}) {
  return dataTable({
    caption: `${title_}: ${text}`,
    rows: values.layers,
    what: ["layer", "layers"],
    searched: layerName,
    columns: [
      {label: "Layer", value: layerName, header: true},
      {label: "Kind", value: (layer) => layer.kind ?? ""}, ...values.rows.map((row, i) => ({
        label: row.name,
        kind,
        value: (layer) => values.value(i, layer, key),
        reason: (layer) => values.reason(i, layer, key)
      }))
    ]
  });
}

// Layers of several rows as a map, a stretch of layers at a time, with a table.
// `groups`: [{name, rows: [{name, layers}]}], one of which is shown; `measures`: what of them.
function layerMap({title: name, about, groups, measures}) {
  const all = groups.map((group) => new LayerValues(group)).filter(({layers}) => layers.length > 0);
  const usable = Object.keys(measures).filter((key) => all.some((values) => values.has(key)));
  if (usable.length === 0) return null;
  const chosen = {key: usable[0], from: 0, query: "", values: all[0]};
  const holder = el("div");
  const build = (change) => {
    Object.assign(chosen, change);
    holder.replaceChildren(
      ...layerStretch(chosen.values, chosen, measures[chosen.key], (from) => build({from})));
    redrawAll();
    drawn?.renew();
  };
  let drawn = null;
  const controls = [
    chooser({
      label: "Show",
      choices: usable.map((key) => [key, measures[key].words]),
      change: (key) => build({key})
    }),
    all.length > 1 && chooser({
      label: "Of",
      choices: all.map((values, i) => [i, values.name]),
      change: (i) => build({values: all[i], from: 0})
    }),
    searchField("Search layers", (query) => build({query, from: 0}))
  ];
  build({});
  drawn = figure({
    title: name,
    about,
    controls,
    plot: holder,
    table: () => layerMapTable(name, chosen.values, chosen.key, measures[chosen.key])
  });
  return drawn.node;
}

// Which stretch of a long row of layers is drawn.
function stretchPager(count, from, go) {
  if (count <= HEAT_COLUMNS) return el("p", {class: "count"}, plural(count, "layer"));
  const button = (text, to) => el(
    "button", {type: "button", disabled: to < 0 || to >= count, on: {click: () => go(to)}}, text);
  return el("div", {class: "pager"}, button("Previous layers", from - HEAT_COLUMNS),
    el("span", null,
      `layers ${countText(from + 1)} to ` +
        `${countText(Math.min(count, from + HEAT_COLUMNS))} of ${countText(count)}`),
    button("Next layers", from + HEAT_COLUMNS));
}

function fidelityHeatMeasures() {
  return Object.fromEntries(Object.entries(FIDELITY_MEASURES).map(([
    key, {words: text}
  ]) => [key, {words: text, kind: "ratio", scale: (values) => heatScale(key, values)}]));
}

function fidelityFigures(input) {
  const {strategies} = input.report.fidelity;
  const names = strategies.map(({name, spec}) => name ?? spec);
  return [
    el("div", {class: "card"}, el("h3", null, "Strategies and baselines"),
      el("p", {class: "about"}, stateSentence(input.report)), strategiesTable(input, names)),
    tradeOff(input, names),
    spreadFigure(input, names),
    layerMap({
      title: "Fidelity by layer",
      measures: fidelityHeatMeasures(),
      about: "Strategies by layers in forward order. Local: with the exact upstream gradient.",
      groups: [{rows: strategies.map((one, i) => ({name: names[i], layers: one.layers ?? []}))}]
    }),
  ].filter(Boolean);
}

function stateSentence({state, fidelity}) {
  const at = state ? `Gradients at ${plural(state.steps, "training step")} (${state.source}), ` +
      `exact loss ${state.loss === null ? "unknown" : numberText(state.loss, 5)}; ` :
                     "";
  return `${at}means over ${plural(fidelity.batches, "batch", "batches")}. ` +
    "The last column has the whole specs.";
}

function fidelitySections(inputs) {
  const studies = inputs.filter(({report}) => report.kind === "correlate");
  return studies.map(
    (input, i) => section(studies.length === 1 ? "fidelity" : `fidelity-${i + 1}`,
      studies.length === 1 ? "Gradient fidelity" : `Gradient fidelity: ${input.label}`,
      fidelityFigures(input)));
}
