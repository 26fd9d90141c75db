// What a run would take of a GPU: does it fit, and who owns the card's memory.

// In the order of the stack, above what tensors ask for; others are workspaces of libraries.
const OVERHEADS = ["rounding", "cached", "context", "kernel_code", "library_handles"];

function cardOf(prediction) {
  return prediction.device.split(":")[0];
}

function momentWords({step, phase, layer}) {
  const when = step === 0 ? "before the first step" : `${phaseWords(phase)} of step ${step}`;
  return layer ? `${when}, at ${layer}` : when;
}

function intervalWords({accuracy, interval_bytes: [low, high]}) {
  return accuracy.runs === 0 ? "scored on no run that was read on a card" :
                               `most likely between ${bytesText(low)} and ${bytesText(high)}`;
}

function fitWords({fits}) {
  if (!fits.fits) {
    return `not in ${bytesText(fits.capacity_bytes)}: ${bytesText(fits.failed_bytes)} more are ` +
      `asked for in ${momentWords(fits.failed_at)}`;
  }
  const back =
    fits.retries === 0 ? "" : `, giving cached memory back ${plural(fits.retries, "time")}`;
  return `in ${bytesText(fits.peak_device_bytes)} of ${bytesText(fits.capacity_bytes)}${back}`;
}

function accuracyWords({accuracy: of}) {
  if (of.runs === 0) return "";
  const percent = (ratio, decimals) => `${(100 * ratio).toFixed(decimals)} %`;
  return ` Of ${plural(of.runs, "run")} read on cards the prediction was off by ` +
    `${percent(of.median_error, 1)} in the middle and ${percent(of.worst_error, 1)} at worst; ` +
    `${percent(of.under_estimate_rate, 0)} took more than predicted.`;
}

const PREDICTION_FIGURES = [
  {
    name: "Peak on the card",
    kind: "bytes",
    of: ({prediction}) => prediction.peak_device_bytes,
    note: ({prediction}) => `${cardOf(prediction)}; ${intervalWords(prediction)}`
  },
  {
    name: "Fits",
    kind: "word",
    of: ({prediction}) => prediction.fits && (prediction.fits.fits ? "yes" : "no"),
    reason: ({prediction}) => prediction.fits_reason,
    note: ({prediction}) => fitWords(prediction)
  },
  {
    name: "Largest batch",
    kind: "count",
    of: ({prediction}) => prediction.largest_batch?.batch,
    reason: ({prediction}) => prediction.largest_batch_reason,
    note: ({prediction}) => `in ${bytesText(prediction.largest_batch.peak_device_bytes)}`
  },
  {
    name: "Reserved",
    kind: "bytes",
    of: ({prediction}) => prediction.peak_reserved_bytes,
    note: ({prediction}) => `in ${momentWords(prediction.reserved_peak)}`
  },
  {
    name: "Allocated",
    kind: "bytes",
    of: ({prediction}) => prediction.peak_allocated_bytes,
    note: ({prediction}) => `in ${momentWords(prediction.allocated_peak)}`
  },
  {
    name: "Saved for backward",
    kind: "bytes",
    of: ({saved}) => saved.distinct_bytes,
    note: ({saved}) => `${plural(saved.count, "save")}; logical ${bytesText(saved.logical_bytes)}`
  },
];

// Layers as a profile has them, so that the same figures show them.
function layersOfPrediction({layers}) {
  return layers.map(({requested_bytes: bytes, categories, ...layer}) => (
                      {...layer, own_peak_bytes: bytes, own_categories_at_peak: categories ?? {}}));
}

function withPredictedLayers(input) {
  const {report} = input;
  if (report.kind !== "prediction") return input;
  return {...input, report: {...report, memory: {layers: layersOfPrediction(report.prediction)}}};
}

// Everything on the card: [name, bytes], from what tensors ask for to the libraries' handles.
function cardParts({prediction}) {
  const categories = {};
  for (const layer of prediction.layers) addTo(categories, layer.categories);
  const named = Object.entries(prediction.overheads).filter(([, bytes]) => bytes > 0);
  return [
    ...categoryParts(categories), ...named.map(([name, value]) => ({
      name: words(name),
      value,
      colour: OVERHEADS.includes(name) ? `o-${name.replaceAll("_", "-")}` : "c-workspace",
      hatched: !OVERHEADS.includes(name)
    }))
  ];
}

function cardLegend(rows) {
  const parts = new Map(rows.flatMap((row) => row.parts.map((part) => [part.name, part])));
  return el("ul", {class: "legend"},
    [...parts.values()].map(
      (part) => el("li", null,
        svg("svg", {class: "swatch", width: 14, height: 14, "aria-hidden": "true"},
          partRect(part, {x: 0, y: 0, width: 14, height: 14})),
        el("span", null, part.name),
        rows.length === 1 && el("span", {class: "muted"}, figureText("bytes", part.value)))));
}

function cardTable(title, rows) {
  const names = [...new Set(rows.flatMap(({parts}) => parts.map(({name}) => name)))];
  const valueOf = (row, name) => row.parts.find((part) => part.name === name)?.value ?? 0;
  return dataTable({
    caption: title,
    what: ["part", "parts"],
    rows: [
      ...names.map((name) => ({name, of: (row) => valueOf(row, name)})),
      {name: "all", of: (row) => row.total, rowClass: "total-row"}
    ],
    columns: [
      {label: "Part", value: (row) => row.name, header: true},
      ...rows.flatMap((one) => [{
        label: rows.length > 1 ? `${one.name} (bytes)` : "Bytes",
        kind: "bytes",
        value: (row) => row.of(one)
      },
                        {label: "Share", kind: "share", value: (row) => row.of(one) / one.total}])
    ]
  });
}

function predictionSection(inputs) {
  const predictions = inputs.filter(({report}) => report.kind === "prediction");
  if (predictions.length === 0) return null;
  const rows = predictions.map(({label: name,
    report}) => ({name, parts: cardParts(report), total: report.prediction.peak_device_bytes}));
  const title = rows.length === 1 ? "The card's memory when tensors take the most" :
                                    "The card's memory when tensors take the most, compared";
  const sentences = predictions.map(({label: name, report: {prediction}}) => {
    const fits = prediction.fits ?
      ` It ${prediction.fits.fits ? "fits" : "does not fit"}, ${fitWords(prediction)}.` :
      "";
    return el("p", {class: "about"},
      `${rows.length === 1 ? "" : `${name}: `}Peaks at ` +
        `${bytesText(prediction.peak_device_bytes)} on ${cardOf(prediction)}, ` +
        `${intervalWords(prediction)}.${fits}${accuracyWords(prediction)}`);
  });
  const about = rows
                  .map((row) => `${row.name}: ` +
                      row.parts.map(({name, value}) => `${name} ${bytesText(value)}`).join(", "))
                  .join(". ");
  return section("card", "On the card", el("div", {class: "card"}, sentences), figure({
    title,
    about: "From what tensors ask for to what the process holds beside them; hatched parts pass.",
    legend: cardLegend(rows),
    plot: stackedBars({label: title, about, rows, kind: "bytes", axisLabel: "On the card"}).node,
    table: () => cardTable(title, rows)
  }).node);
}
