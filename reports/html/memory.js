// Where the bytes of one training step are: over time, at the peak by category, along the depth.

// In the order of the stack: what stays, what the step makes, what passes. The last three are
// the transient part and are hatched.
const CATEGORIES = [
  "parameter", "buffer", "average", "weight_copy", "optimizer_state", "input", "gradient",
  "activation", "autograd_detail", "workspace", "temporary", "unknown"
];
const TRANSIENT = new Set(["workspace", "autograd_detail", "temporary"]);

function categoryParts(bytes) {
  const known = CATEGORIES.filter((name) => bytes[name] > 0);
  const others = Object.keys(bytes).filter((name) => !CATEGORIES.includes(name) && bytes[name] > 0);
  return [...known, ...others].map((name) => ({
    name: words(name),
    value: bytes[name],
    colour: CATEGORIES.includes(name) ? `c-${name.replaceAll("_", "-")}` : "c-unknown",
    hatched: TRANSIENT.has(name),
  }));
}

function sumOf(values) {
  return values.reduce((sum, value) => sum + value, 0);
}

function categoryLegend(rows) {
  const names = new Map();
  for (const {parts} of rows) {
    for (const part of parts) names.set(part.name, part);
  }
  const order = [...names.values()].sort((a, b) => CATEGORIES.indexOf(a.name.replaceAll(" ", "_")) -
      CATEGORIES.indexOf(b.name.replaceAll(" ", "_")));
  const single = rows.length === 1 ? rows[0] : null;
  return el("ul", {class: "legend"},
    order.map((part) => el("li", null,
                svg("svg", {class: "swatch", width: 14, height: 14, "aria-hidden": "true"},
                  partRect(part, {x: 0, y: 0, width: 14, height: 14})),
                el("span", null, part.name),
                single && el("span", {class: "muted"}, figureText("bytes", part.value)))));
}

// ---- over time

const PHASE_WORDS = {
  setup: "setup",
  forward: "forward",
  backward: "backward",
  optimizer_step: "optimizer step",
  evaluation: "evaluation"
};

function phaseWords(phase) {
  return PHASE_WORDS[phase] ?? words(phase);
}

// Stretches of one phase: {name, from, to} in the unit of `place`.
function phaseBands(timeline, place) {
  const bands = [];
  timeline.forEach((point, i) => {
    if (bands.length === 0 || bands.at(-1).phase !== point.phase) {
      bands.push({phase: point.phase, name: phaseWords(point.phase), from: place(point, i)});
    }
    bands.at(-1).to =
      place(timeline[Math.min(i + 1, timeline.length - 1)], Math.min(i + 1, timeline.length - 1));
  });
  return bands.filter(({from, to}) => to > from);
}

function timelineChart(input, most, alone) {
  const {memory} = input.report;
  const place = ({time_ns: time}) => time / 1e9;
  const points = memory.timeline.map((point) => ({
    x: place(point),
    y: point.live_bytes,
    lines: () => [phaseWords(point.phase),
      `${bytesText(point.live_bytes)}, ` +
        `${countText(point.live_bytes)} bytes`,
      `${secondsText(place(point))} after the trace began`],
  }));
  const peak = {
    x: memory.peak_time_ns / 1e9,
    y: memory.peak_bytes,
    name: `peak ${bytesText(memory.peak_bytes)}`
  };
  const name = alone ? "Live bytes over the traced step" : `Live bytes of ${input.label}`;
  return lineChart({
    label: name,
    about: `Rises to ${bytesText(memory.peak_bytes)} in ${peakWords(memory)}. ` +
      memory.phases
        .map((phase) => `${phaseWords(phase.phase)}: at most ` +
            `${bytesText(phase.peak_bytes)}`)
        .join("; ") +
      ".",
    x: {kind: "seconds", label: "Time since the trace began", from: 0, round: false},
    y: {kind: "bytes", label: "Live bytes", from: 0, to: most},
    series:
      [{name, style: 0, points, line: true, solid: true, step: true, fill: true, marker: false}],
    bands: phaseBands(memory.timeline, place),
    marks: [peak],
    height: alone ? 330 : 230,
  });
}

function peakWords(memory) {
  const where = memory.peak_layer ? `, ${memory.peak_layer}` : ", outside every layer";
  return `${phaseWords(memory.peak_phase)}${memory.peak_layer === undefined ? "" : where}`;
}

function phasesTable(inputs) {
  const rows =
    inputs.flatMap((input) => input.report.memory.phases.map((phase) => ({input, ...phase})));
  return dataTable({
    caption: "Live bytes by phase",
    rows,
    what: ["phase", "phases"],
    columns: [
      ...(inputs.length > 1 ? [{label: "Report", value: (row) => row.input.label, header: true}] :
                              []),
      {label: "Phase", value: (row) => phaseWords(row.phase), header: inputs.length === 1},
      {label: "Peak (bytes)", kind: "bytes", value: (row) => row.peak_bytes},
      {label: "Live at its end (bytes)", kind: "bytes", value: (row) => row.live_at_end_bytes},
      {label: "Allocated in it (bytes)", kind: "bytes", value: (row) => row.allocated_bytes},
      {label: "Allocations", kind: "count", value: (row) => row.allocate_events},
    ]
  });
}

function timelineTable(inputs) {
  const rows =
    inputs.flatMap((input) => input.report.memory.timeline.map((point) => ({input, ...point})));
  const points = dataTable({
    caption: "Points of the timeline",
    rows,
    what: ["point", "points"],
    columns: [
      ...(inputs.length > 1 ? [{label: "Report", value: (row) => row.input.label, header: true}] :
                              []),
      {label: "Time (ns)", kind: "count", value: (row) => row.time_ns, header: inputs.length === 1},
      {label: "Live (bytes)", kind: "bytes", value: (row) => row.live_bytes},
      {label: "Phase", value: (row) => phaseWords(row.phase)},
    ]
  });
  return el("div", null, el("h4", null, "By phase"), phasesTable(inputs),
    el("div", {class: "screen-only"}, el("h4", null, "Points of the curve"), points));
}

function timelineFigure(inputs) {
  const shown = inputs.filter(({report}) => report.memory.timeline.length > 1);
  if (shown.length === 0) return null;
  const most = Math.max(...shown.map(({report}) => report.memory.peak_bytes));
  const alone = shown.length === 1;
  const panels = shown.map((input) => {
    const plot = timelineChart(input, most, alone);
    return alone ? plot.node :
                   el("div", {class: "panel"}, el("h4", null, input.label),
                     el("p", {class: "about"}, peakSentence(input.report.memory)), plot.node);
  });
  return figure({
    title: alone ? "Live bytes over one training step" :
                   "Live bytes over one training step, one scale of bytes",
    about: alone ? peakSentence(shown[0].report.memory) : null,
    plot: el("div", {class: alone ? null : "panels"}, panels),
    table: () => timelineTable(shown),
  }).node;
}

function peakSentence(memory) {
  const next = memory.runner_up;
  return `The peak of ${bytesText(memory.peak_bytes)} falls in ${peakWords(memory)}.` +
    (next ? ` The next moment elsewhere that would take over: ${bytesText(next.bytes)} in ` +
          `${phaseWords(next.phase)}${next.layer ? `, ${next.layer}` : ""}.` :
                                                   "");
}

// ---- at the peak

function compositionFigure(inputs) {
  const rows = inputs.map((input) => ({
    name: input.label,
    total: input.report.memory.peak_bytes,
    parts: categoryParts(input.report.memory.categories_at_peak)
  }));
  const about = rows
                  .map((row) => `${row.name}: ` +
                      row.parts.map(({name, value}) => `${name} ${bytesText(value)}`).join(", "))
                  .join(". ");
  const names =
    [...new Set(inputs.flatMap((input) => Object.keys(input.report.memory.categories_at_peak)))];
  const title = rows.length === 1 ? "What lived at the peak" : "What lived at the peak, compared";
  return figure({
    title,
    about: "Every live byte by what it was for; the hatched part is transient.",
    legend: categoryLegend(rows),
    plot:
      stackedBars({label: title, about, rows, kind: "bytes", axisLabel: "Live at the peak"}).node,
    table: () => dataTable({
      caption: title,
      what: ["category", "categories"],
      rows: [
        ...names.map((name) => ({name, of: (memory) => memory.categories_at_peak[name] ?? 0})),
        {name: "total", of: (memory) => memory.peak_bytes, rowClass: "total-row"}
      ],
      columns: [
        {label: "Category", value: (row) => words(row.name), header: true},
        ...inputs.flatMap((input) => [{
          label: inputs.length > 1 ? `${input.label} (bytes)` : "Bytes",
          kind: "bytes",
          value: (row) => row.of(input.report.memory)
        },
                            {
                              label: "Share",
                              kind: "share",
                              value: (row) =>
                                row.of(input.report.memory) / (input.report.memory.peak_bytes || 1)
                            }])
      ],
    }),
  }).node;
}

// Blocks, and layers outside every block: what they own at the peak sums to the peak.
function blocksOf(layers) {
  const blocks = [];
  for (const layer of layers) {
    const last = blocks.at(-1);
    if (last?.kind === "block" && layer.name.startsWith(`${last.name}.`)) {
      last.own_peak_bytes += layer.own_peak_bytes;
      addTo(last.own_categories_at_peak, layer.own_categories_at_peak);
    } else if (layer.kind !== "module" || layer.own_peak_bytes !== 0) {
      blocks.push({...layer, own_categories_at_peak: {...layer.own_categories_at_peak}});
    }
  }
  return blocks;
}

function addTo(sum, bytes) {
  for (const [name, value] of Object.entries(bytes ?? {})) sum[name] = (sum[name] ?? 0) + value;
}

function layerName(layer) {
  return layer.name || "outside every layer";
}

function blockColumns(input) {
  return blocksOf(input.report.memory.layers).map((block) => {
    const parts = categoryParts(block.own_categories_at_peak);
    return {
      name: layerName(block),
      short: block.name || "outside",
      kind: block.kind,
      parts,
      total: block.own_peak_bytes,
      lines: () => [layerName(block),
        `${bytesText(block.own_peak_bytes)}, ` +
          `${countText(block.own_peak_bytes)} bytes`,
        ...parts.map(({name, value}) => `${name} ${bytesText(value)}`)]
    };
  });
}

function blocksFigure(inputs) {
  const shown = inputs.map((input) => ({input, columns: blockColumns(input)}))
                  .filter(({columns}) => columns.length > 1);
  if (shown.length === 0) return null;
  const most = mostOf(shown.flatMap(({columns}) => columns.map(({total}) => total)));
  const alone = shown.length === 1;
  const rows = shown.flatMap(({input, columns}) => columns.map((one) => ({input, ...one})));
  const title = alone ? "Who owned the peak, along the depth" :
                        "Who owned the peak, along the depth, one scale of bytes";
  return figure({
    title,
    about: `Blocks, and layers outside every block, in forward order; they sum to ${
      shown.some(({input}) => input.report.prediction) ? "what layers ask for then" : "the peak"}.`,
    legend: categoryLegend(rows.length === 1 ? [...rows, ...rows] : rows),
    plot: el("div", {class: alone ? null : "panels"}, shown.map(({input, columns}) => {
      const name =
        alone ? "Bytes at the peak by block" : `Bytes at the peak by block, ${input.label}`;
      const largest = columns.reduce((a, b) => (a.total >= b.total ? a : b));
      const plot = stackedColumns({
        label: name,
        columns,
        kind: "bytes",
        most,
        axisLabel: "At the peak",
        about: `${plural(columns.length, "block or layer", "blocks and layers")}; the largest is ` +
          `${largest.name} with ${bytesText(largest.total)}.`
      });
      return alone ? plot.node :
                     el("div", {class: "panel"}, el("h4", null, input.label), plot.node);
    })),
    table: () => dataTable({
      caption: title,
      rows,
      what: ["block or layer", "blocks and layers"],
      columns: [
        ...(alone ? [] : [{label: "Report", value: (row) => row.input.label}]),
        {label: "Block or layer", value: (row) => row.name, header: true},
        {label: "Kind", value: (row) => row.kind},
        {label: "At the peak (bytes)", kind: "bytes", value: (row) => row.total},
        ...[...new Set(rows.flatMap(({parts}) => parts.map(({name}) => name)))].map((category) => ({
          label: `${category} (bytes)`,
          kind: "bytes",
          value: (row) => row.parts.find(({name}) => name === category)?.value ?? 0
        })),
      ]
    }),
  }).node;
}
