// Does it still learn? Losses and accuracies of training runs, and the gradient on the way.

// Steps and losses: each point is the mean of `every` steps (null where one was not finite).
function lossPoints(report) {
  const {every, values} = report.loss_curve ?? {every: 1, values: []};
  return values.map((value, i) => ({x: (i + 1) * every, y: value}));
}

// The mean over a window of points before and after.
function smoothed(points, window) {
  const half = Math.floor(window / 2);
  return points.map(({x}, i) => {
    const near = points.slice(Math.max(0, i - half), i + half + 1).filter(isDrawn);
    return {x, y: near.length > 0 ? sumOf(near.map(({y}) => y)) / near.length : null};
  });
}

function withLines(points, text) {
  return points.map((point) => ({...point, lines: () => text(point)}));
}

function epochSeries(input, style, {name, value, ...looks}) {
  const points =
    input.report.epochs.map((epoch) => ({x: epoch.steps, y: value(epoch) ?? null, epoch}));
  return {
    name,
    style,
    line: true,
    ...looks,
    points: withLines(points,
      ({epoch, y}) => [`${name}: ${numberText(y, 5)}`,
        `epoch ${epoch.epoch}, step ${countText(epoch.steps)}`, input.label])
  };
}

function lossSeries(inputs) {
  const alone = inputs.length === 1;
  return inputs.flatMap((input, i) => {
    const raw = lossPoints(input.report);
    const window = Math.max(1, Math.round(raw.length / 40));
    const of = alone ? "" : `${input.label}: `;
    const curve = withLines(smoothed(raw, window),
      ({x, y}) => [`${of}training ${numberText(y, 5)}`, `step ${countText(x)}`]);
    const every = input.report.loss_curve?.every ?? 1;
    return [
      alone && window > 1 && {
        name: "training, each step",
        style: 0,
        line: true,
        solid: true,
        faint: true,
        marker: false,
        points: raw
      },
      raw.length > 1 && {
        name: `${of}training, mean over ${countText(window * every)} steps`,
        style: alone ? 0 : 2 * i,
        line: true,
        solid: true,
        marker: false,
        points: curve
      },
      epochSeries(
        input, alone ? 1 : 2 * i, {name: `${of}test`, value: ({evaluation}) => evaluation?.loss}),
    ].filter((one) => one && one.points.some(isDrawn));
  });
}

function accuracySeries(inputs) {
  return inputs.flatMap((input, i) => {
    const of = inputs.length === 1 ? "" : `${input.label}: `;
    const share = (which, of_) => (epoch) => epoch[which]?.[of_];
    return [
      epochSeries(input, i, {name: `${of}top-1`, value: share("evaluation", "top1")}),
      epochSeries(input, i + (inputs.length === 1 ? 1 : 0), {
        name: `${of}top-1, averaged weights`,
        faint: inputs.length > 1,
        value: share("averaged_evaluation", "top1")
      }),
    ].filter(({points}) => points.some(isDrawn));
  });
}

function epochsTable(inputs) {
  const rows = inputs.flatMap((input) => input.report.epochs.map((epoch) => ({input, ...epoch})));
  const of = (which, name) => ({
    kind: name === "loss" ? "number" : "share",
    value: (row) => row[which]?.[name] ?? null,
    reason: (row) => row[`${which}_reason`] ?? row[which]?.[`${name}_reason`]
  });
  const averaged = rows.some((row) => row.averaged_evaluation);
  return dataTable({
    caption: "Epochs",
    rows,
    what: ["epoch", "epochs"],
    columns: [
      ...(inputs.length > 1 ? [{label: "Run", value: (row) => row.input.label}] : []),
      {label: "Epoch", kind: "count", value: (row) => row.epoch, header: true},
      {label: "Steps", kind: "count", value: (row) => row.steps},
      {
        label: "Training loss",
        kind: "number",
        value: (row) => row.train_loss,
        reason: (row) => row.train_loss_reason
      },
      {label: "Test loss", ...of("evaluation", "loss")},
      {label: "Top-1", ...of("evaluation", "top1")},
      {label: "Top-5", ...of("evaluation", "top5")},
      ...(averaged ? [{label: "Top-1, averaged", ...of("averaged_evaluation", "top1")}] : []),
      {
        label: "Learning rate",
        kind: "number",
        value: (row) => row.learning_rate,
        reason: (row) => row.learning_rate_reason
      },
      {
        label: "Seconds",
        kind: "number",
        value: (row) => row.seconds,
        reason: (row) => row.seconds_reason
      },
      {
        label: "Samples per second",
        kind: "number",
        value: (row) => row.samples_per_second,
        reason: (row) => row.samples_per_second_reason
      },
    ]
  });
}

function lossTable(inputs) {
  const rows =
    inputs.flatMap((input) => lossPoints(input.report).map((point) => ({input, ...point})));
  const steps = dataTable({
    caption: "Training loss",
    rows,
    what: ["point", "points"],
    columns: [
      ...(inputs.length > 1 ? [{label: "Run", value: (row) => row.input.label}] : []),
      {label: "Step", kind: "count", value: (row) => row.x, header: true},
      {
        label: "Training loss",
        kind: "number",
        value: (row) => row.y,
        reason: () => "a loss was not finite"
      },
    ]
  });
  return el("div", null, el("h4", null, "By epoch"), epochsTable(inputs),
    el("div", {class: "screen-only"}, el("h4", null, "Points of the curve"), steps));
}

function curveFigure({title: name, about, series, kind, yLabel, from, table}) {
  if (series.length === 0) return null;
  const last = series.map(({name: of, points}) => {
    const drawn = points.filter(isDrawn);
    return `${of} ends at ${KINDS[kind].shown(drawn.at(-1).y)}`;
  });
  return figure({
    title: name,
    about,
    table,
    legend: seriesLegend(series),
    plot: lineChart({
      label: name,
      about: `${last.join("; ")}.`,
      series,
      x: {kind: "count", label: "Training steps", from: 0, round: false},
      y: {kind, label: yLabel, from},
      height: 320
    }).node,
  }).node;
}

// ---- the gradient on the way

const GRADIENT_MEASURES = {
  cosine: "Cosine with the exact gradient",
  relative_error: "Relative error",
  norm_ratio: "Norm ratio",
  sign_agreement: "Equal signs",
};

function fidelitySeries(inputs) {
  return inputs
    .flatMap((input, i) => {
      const of = inputs.length === 1 ? "" : `${input.label}: `;
      const one = (name, style, value, looks) => ({
        name: `${of}${name}`,
        style,
        line: true,
        ...looks,
        points: withLines(
          input.report.fidelity.map((point) => ({x: point.step, y: value(point) ?? null})),
          ({x, y}) => [`${of}${name} ${numberText(y, 5)}`, `step ${countText(x)}`])
      });
      return [
        one("all parameters", 3 * i, (point) => point.cosine),
        one("mean over layers", 3 * i + 1, (point) => point.layer_cosine?.mean),
        one("worst layer", 3 * i + 2, (point) => point.layer_cosine?.minimum)
      ];
    })
    .filter(({points}) => points.some(isDrawn));
}

function fidelityOverTraining(inputs) {
  const shown = inputs.filter(({report}) => report.fidelity?.length > 0);
  if (shown.length === 0) return null;
  const rows = shown.flatMap((input) => input.report.fidelity.map((point) => ({input, ...point})));
  return curveFigure({
    title: "How near the gradient is to the exact one, during training",
    kind: "ratio",
    about: "Cosine of the strategy's gradient with the exact one of the same batches.",
    series: fidelitySeries(shown),
    yLabel: "Cosine",
    table: () => dataTable({
      caption: "Gradient during training",
      rows,
      what: ["step", "steps"],
      columns: [
        ...(shown.length > 1 ? [{label: "Run", value: (row) => row.input.label}] : []),
        {label: "Step", kind: "count", value: (row) => row.step, header: true},
        ...Object.entries(GRADIENT_MEASURES).map(([key, words_]) => ({
          label: words_,
          kind: "ratio",
          value: (row) => row[key],
          reason: (row) => row[`${key}_reason`]
        })),
        {
          label: "Mean over layers",
          kind: "ratio",
          value: (row) => row.layer_cosine?.mean ?? null,
          reason: (row) => row.layer_cosine?.mean_reason
        },
        {
          label: "Worst layer's",
          kind: "ratio",
          value: (row) => row.layer_cosine?.minimum ?? null,
          reason: (row) => row.layer_cosine?.minimum_reason
        },
        {label: "Worst layer", value: (row) => row.layer_cosine?.minimum_layer ?? ""},
      ]
    }),
  });
}

function trainingSection(inputs) {
  const runs = inputs.filter(({report}) => report.kind === "train");
  if (runs.length === 0) return null;
  const compared = runs.length > 1 ? ", compared" : "";
  const parts = [
    curveFigure({
      title: `Loss over training${compared}`,
      series: lossSeries(runs),
      kind: "number",
      yLabel: "Loss",
      table: () => lossTable(runs)
    }),
    curveFigure({
      title: `Accuracy on the test set${compared}`,
      series: accuracySeries(runs),
      kind: "share",
      yLabel: "Correct",
      table: () => epochsTable(runs)
    }),
    fidelityOverTraining(runs),
  ].filter(Boolean);
  return parts.length > 0 && section("learning", "Learning", parts);
}
