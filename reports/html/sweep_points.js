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
  return Object.keys(SWEEP_FIGURES)
    .filter((name) => points.some((point) => pointFigure(point, name) !== null));
}

function isNumeric(text) {
  return text !== null && text.trim() !== "" && Number.isFinite(Number(text));
}

// The axes along which something changes, with the values that points have.
function usedAxes(report) {
  return report.axes.map(({name}) => ({
    name,
    short: name.split(".").at(-1),
    values: [...new Set(report.points.map((point) => point.axes[name] ?? null))].filter(
      (value) => value !== null)
  }));
}

// "sbp:mask=random, batch=8": the values of the axes that tell points apart.
function pointName(point, axes) {
  return axes.filter(({values}) => values.length > 1)
           .map(({name, short}) => {
             const value = point.axes[name];
             if (value === null || value === undefined) return null;
             return name === "strategy" ? value : `${short}=${value}`;
           })
           .filter(Boolean)
           .join(", ") ||
    "the only point";
}

// Finished points that differ in their seed alone, as one: {axes, name, count, figure(name)}, where
// a figure is {mean, low, high, count} or nothing. The report has them so.
function seedGroups(report, axes) {
  const others = axes.filter(({name}) => name !== SEED);
  return (report.summary?.groups ?? []).filter(({finished}) => finished > 0).map((group) => {
    const figure_ = (name) => {
      const one = group.figures[name];
      return typeof one?.mean === "number" ? one : null;
    };
    return {
      axes: group.axes,
      name: pointName(group, others),
      count: group.finished,
      figure: figure_
    };
  });
}

// "181.2 MiB, 95 %: 180.1 MiB to 182.3 MiB (5 seeds)".
function meanText({mean, low, high, count}, kind) {
  const shown = (number) =>
    (kind === "bytes" ? bytesText(Math.round(number)) : KINDS[kind].shown(number));
  if (typeof low !== "number") return shown(mean);
  return `${shown(mean)}, 95 %: ${shown(low)} to ${shown(high)} (${count} seeds)`;
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
