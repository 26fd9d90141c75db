// The points of a sweep: what is known of each, and their means over seeds.

const SWEEP_FIGURES = {
  saved_distinct_bytes: {words: "Saved for backward", kind: "bytes", better: "low"},
  peak_bytes: {words: "Peak", kind: "bytes", better: "low"},
  transient_peak_bytes: {words: "Transient at the peak", kind: "bytes", better: "low"},
  saved_index_bytes: {words: "Indices and scales", kind: "bytes", better: "low"},
  cosine: {words: "Cosine", kind: "ratio", better: "high"},
  mean_layer_cosine: {words: "Cosine, mean over layers", kind: "ratio", better: "high"},
  minimum_layer_cosine: {words: "Cosine, worst layer", kind: "ratio", better: "high"},
  local_cosine: {words: "Local cosine", kind: "ratio", better: "high"},
  update_cosine: {words: "Update cosine", kind: "ratio", better: "high"},
  relative_error: {words: "Relative error", kind: "ratio", better: "low"},
  norm_ratio: {words: "Norm ratio", kind: "ratio", better: "high"},
  sign_agreement: {words: "Equal signs", kind: "ratio", better: "high"},
  noise_ratio: {words: "Noise ratio", kind: "number", better: "low"},
  top1: {words: "Top-1, test", kind: "share", better: "high"},
  top5: {words: "Top-5, test", kind: "share", better: "high"},
  test_loss: {words: "Loss, test", kind: "number", better: "low"},
  train_loss: {words: "Loss, training", kind: "number", better: "low"},
  step_seconds: {words: "Step time", kind: "seconds", better: "low"},
  samples_per_second: {words: "Samples per second", kind: "number", better: "high"},
  seconds: {words: "Duration of the point", kind: "seconds", better: "low"},
  effective_keep_ratio: {words: "Effective keep ratio", kind: "ratio", better: "low"},
  batch: {words: "Batch", kind: "count", better: "high"},
};
const SEED = "seed";

// A figure of a point, or null; its duration counts as one.
function pointFigure(point, name) {
  const value = name === "seconds" ? point.seconds : point.figures?.[name];
  return typeof value === "number" ? value : null;
}

function knownFigures(points) {
  return Object.keys(SWEEP_FIGURES).filter((name) =>
    points.some((point) => pointFigure(point, name) !== null));
}

function isNumeric(text) {
  return text !== null && text.trim() !== "" && Number.isFinite(Number(text));
}

// The axes along which something changes, with the values that points have.
function usedAxes(report) {
  return report.axes.map(({name}) => ({name, short: name.split(".").at(-1),
    values: [...new Set(report.points.map((point) => point.axes[name] ?? null))]
      .filter((value) => value !== null)}));
}

// "sbp:mask=random, batch=8": the values of the axes that tell points apart.
function pointName(point, axes) {
  return axes.filter(({values}) => values.length > 1).map(({name, short}) => {
    const value = point.axes[name];
    if (value === null || value === undefined) return null;
    return name === "strategy" ? value : `${short}=${value}`;
  }).filter(Boolean).join(", ") || "the only point";
}

// Mean and 95 % interval by Student's t; one value has no interval.
function meanOf(values, quantiles) {
  const count = values.length;
  const mean = sumOf(values) / count;
  const quantile = quantiles[count - 1];
  if (count < 2 || quantile === undefined) return {mean, count, half: null};
  const variance = sumOf(values.map((value) => (value - mean) ** 2)) / (count - 1);
  return {mean, count, half: quantile * Math.sqrt(variance / count)};
}

// Finished points that differ in their seed alone, as one: {axes, points, figure(name)}.
function overSeeds(points, axes, quantiles) {
  const groups = new Map();
  const others = axes.filter(({name}) => name !== SEED);
  for (const point of points) {
    const key = JSON.stringify(others.map(({name}) => point.axes[name] ?? null));
    if (!groups.has(key)) groups.set(key, {axes: point.axes, name: pointName(point, others), points: []});
    groups.get(key).points.push(point);
  }
  return [...groups.values()].map((group) => ({...group, figure: remembered((name) => {
    const values = group.points.map((point) => pointFigure(point, name)).filter((v) => v !== null);
    return values.length > 0 ? meanOf(values, quantiles) : null;
  })}));
}

function remembered(ask) {
  const known = new Map();
  return (name) => {
    if (!known.has(name)) known.set(name, ask(name));
    return known.get(name);
  };
}

// "181.2 MiB ± 1.2 MiB (95 %, 5 seeds)".
function meanText({mean, half, count}, kind) {
  const {shown} = KINDS[kind];
  const value = kind === "bytes" ? bytesText(Math.round(mean)) : shown(mean);
  if (half === null) return count > 1 ? `${value} (${count} seeds)` : value;
  const wide = kind === "bytes" ? bytesText(Math.round(half))
    : kind === "seconds" || kind === "share" ? shown(half) : numberText(half, 2);
  return `${value} ± ${wide} (95 %, ${count} seeds)`;
}

// Those that no other is at least as good as in both figures and better in one, by x.
function paretoFront(groups, x, y) {
  const sign = (name) => (SWEEP_FIGURES[name].better === "low" ? 1 : -1);
  const known = groups.filter((group) => group.figure(x) && group.figure(y));
  const by = (group, name) => sign(name) * group.figure(name).mean;
  const sorted = [...known].sort((a, b) => by(a, x) - by(b, x) || by(a, y) - by(b, y));
  let best = Infinity;
  const front = sorted.filter((group) => {
    const better = by(group, y) < best;
    best = Math.min(best, by(group, y));
    return better;
  });
  return front.sort((a, b) => a.figure(x).mean - b.figure(x).mean);
}
