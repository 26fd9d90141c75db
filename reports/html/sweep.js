// What is the trade-off? A sweep's points along an axis, against each other, and layer by layer.

const STATUS_WORDS = {
  finished: "finished",
  failed: "failed",
  out_of_memory: "out of memory",
  killed: "killed",
  not_run: "not run"
};
const LINES_AT_ONCE = 8;
const BARS_AT_ONCE = 16;
const VALUES_SHOWN = 12;

class Sweep {
  constructor(input) {
    this.report = input.report;
    this.axes = usedAxes(this.report);
    this.finished = this.report.points.filter(({status}) => status === "finished");
    this.figures = knownFigures(this.finished);
    // A point's duration is no figure of its report, and so of no group.
    this.groupFigures = this.figures.filter((name) => name !== "seconds");
    this.groups = seedGroups(this.report, this.axes);
    this.seeds = this.axes.some(({name, values}) => name === SEED && values.length > 1);
  }

  count(status) {
    return this.report.points.filter((point) => point.status === status).length;
  }

  // What can be the x of a line: axes of numbers, and figures that the strategy decides.
  places() {
    const numeric =
      this.axes
        .filter(({name, values}) => name !== SEED && values.length > 1 && values.every(isNumeric))
        .map(({name}) => ({
          key: name,
          words: name,
          of: ({axes}) => (isNumeric(axes[name] ?? null) ? Number(axes[name]) : null),
          kind: "number"
        }));
    const keep = this.figures.includes("effective_keep_ratio") && {
      key: "effective_keep_ratio",
      words: "effective keep ratio",
      kind: "ratio",
      of: (group) => group.figure("effective_keep_ratio")?.mean ?? null
    };
    const isKeep = ({key}) => /(^|\.)(keep|gamma)$/.test(key);
    return [
      ...numeric.filter(isKeep), ...(keep ? [keep] : []), ...numeric.filter((one) => !isKeep(one))
    ];
  }

  // The axes that tell lines apart when `place` is the x.
  lineAxes(place) {
    return this.axes.filter(
      ({name, values}) => name !== SEED && name !== place.key && values.length > 1);
  }
}

// A strategy without the part that is drawn along x.
function withoutKeep(spec) {
  return specText(specParts(spec), (_, key) => key !== "keep");
}

// What a group's line is called: by all axes given, the rest being held.
function lineName(group, axes, place) {
  return axes
           .map(({name, short}) => {
             const value = group.axes[name];
             if (value === null || value === undefined) return null;
             if (name !== "strategy") return `${short}=${value}`;
             return place.key === "effective_keep_ratio" ? withoutKeep(value) : value;
           })
           .filter(Boolean)
           .join(", ") ||
    "all";
}

function linesOf(groups, axes, place) {
  const lines = new Map();
  for (const group of groups) {
    const name = lineName(group, axes, place);
    if (!lines.has(name)) lines.set(name, {name, groups: []});
    lines.get(name).groups.push(group);
  }
  return [...lines.values()];
}

// ---- along an axis

function alongChart(lines, place, figure_, title_) {
  const {words: text, kind} = SWEEP_FIGURES[figure_];
  const series =
    lines
      .map(({name, groups, style}) => ({
        name,
        style,
        line: true,
        points: groups.filter((group) => place.of(group) !== null && group.figure(figure_))
                  .map((group) => {
                    const mean = group.figure(figure_);
                    return {
                      x: place.of(group),
                      y: mean.mean,
                      low: mean.low,
                      high: mean.high,
                      lines: () => [meanText(mean, kind),
                        `${place.words} ${numberText(place.of(group))}`, name]
                    };
                  })
                  .sort((a, b) => a.x - b.x)
      }))
      .filter(({points}) => points.length > 0);
  // Those that the axis does not apply to are a level.
  const rules =
    lines.flatMap(({name, groups, style}) =>
                    groups.filter((group) => place.of(group) === null && group.figure(figure_))
                      .map((group) => ({y: group.figure(figure_).mean, name, style})));
  if (series.length === 0) return null;
  return lineChart({
    label: title_,
    series,
    rules: rules.slice(0, LINES_AT_ONCE),
    height: 260,
    about: `${plural(series.length, "line")}: ${series.map(({name}) => name).join(", ")}.`,
    x: {kind: place.kind, label: place.words, round: false},
    y: {kind, label: text}
  });
}

function alongTable(lines, place, figure_, seeds) {
  const {words: text, kind} = SWEEP_FIGURES[figure_];
  const rows = lines.flatMap(
    ({name, groups}) =>
      groups.filter((group) => group.figure(figure_))
        .map((group) => ({line: name, x: place.of(group), ...group.figure(figure_)})));
  return dataTable({
    caption: `${text} along ${place.words}`,
    rows,
    what: ["row", "rows"],
    columns: [
      {label: "Line", value: (row) => row.line, header: true},
      {
        label: place.words,
        kind: "number",
        value: (row) => row.x,
        reason: () => "the axis names nothing of this point"
      },
      {label: seeds ? `${text}, mean` : text, kind, value: (row) => row.mean},
      ...(seeds ?
          [
            {label: "95 %, from", kind, value: (row) => row.low, reason: (row) => row.low_reason},
            {label: "95 %, to", kind, value: (row) => row.high, reason: (row) => row.high_reason},
            {label: "Seeds", kind: "count", value: (row) => row.count}
          ] :
          []),
    ]
  });
}

function firstKnown(figures, names) {
  return names.find((name) => figures.includes(name));
}

// One figure along the chosen place, with the choice of which.
function alongFigure(sweep, state, start) {
  const holder = el("div");
  let shown = start;
  const build = () => {
    const title_ = `${SWEEP_FIGURES[shown].words} along ${state.place.words}`;
    const plot = alongChart(state.lines, state.place, shown, title_);
    holder.replaceChildren(
      plot ? plot.node : el("p", {class: "about"}, "No point has both figures."));
    own?.renew();
  };
  let own = null;
  const choose = chooser({
    label: "Figure",
    value: start,
    change: (name) => {
      shown = name;
      build();
      redrawAll();
    },
    choices: sweep.groupFigures.map((name) => [name, SWEEP_FIGURES[name].words])
  });
  build();
  own = figure({
    title: `${SWEEP_FIGURES[start].words} and the axis`,
    controls: choose,
    plot: holder,
    table: () => alongTable(state.lines, state.place, shown, sweep.seeds)
  });
  own.node.querySelector("h3").textContent = SWEEP_FIGURES[start].words;
  return {
    node: own.node,
    build: () => {
      own.node.querySelector("h3").textContent = SWEEP_FIGURES[shown].words;
      build();
    }
  };
}

function alongSection(sweep) {
  const places = sweep.places();
  const starts =
    [
      ["saved_distinct_bytes", "peak_bytes"], ["cosine", "mean_layer_cosine"],
      ["top1", "test_loss", "train_loss"], ["step_seconds", "samples_per_second"]
    ].map((names) => firstKnown(sweep.groupFigures, names))
      .filter(Boolean);
  if (places.length === 0 || starts.length === 0) return null;
  const state = {place: places[0], by: "", held: {}, hidden: new Set(), lines: []};
  const bar = el("div", {class: "figure-tools"});
  const legend = el("div", {class: "line-choice", role: "group", "aria-label": "Lines shown"});
  const figures_ = [];
  const renew = (change) => {
    Object.assign(state, change);
    const axes = sweep.lineAxes(state.place);
    chooseLines(sweep, state, axes);
    bar.replaceChildren(...alongControls(sweep, state, places, axes, renew));
    legend.replaceChildren(...lineButtons(state, () => {
      figures_.forEach((one) => one.build());
      redrawAll();
    }));
    figures_.forEach((one) => one.build());
    redrawAll();
  };
  renew({});
  figures_.push(...starts.map((name) => alongFigure(sweep, state, name)));
  return [
    el("div", {class: "card"}, el("h3", null, "Along an axis"),
      el("p", {class: "about"},
        sweep.seeds ?
          "Means over seeds; bars are 95 % intervals by Student's t. Dashed levels: points that " +
            "the axis does not apply to." :
          "One run a point. Dashed levels: points that the axis does not apply to."),
      bar, legend),
    el("div", {class: "pair"}, figures_.map(({node}) => node))
  ];
}

// Every combination of the axes is a line while that is few; else one axis is, and others are held.
function chooseLines(sweep, state, axes) {
  const every = linesOf(sweep.groups, axes, state.place);
  if (state.by === "" || !(state.by === "*" || axes.some(({name}) => name === state.by))) {
    const strategy = axes.find(({name}) => name === "strategy") ?? axes[0];
    state.by = every.length <= LINES_AT_ONCE || !strategy ? "*" : strategy.name;
  }
  const apart = state.by === "*" ? axes : axes.filter(({name}) => name === state.by);
  const held = axes.filter((axis) => !apart.includes(axis));
  for (const {name, values} of held) {
    if (!values.includes(state.held[name])) state.held[name] = values[0];
  }
  const groups =
    sweep.groups.filter((group) => held.every(({name}) => (group.axes[name] ?? null) === null ||
                            group.axes[name] === state.held[name]));
  state.heldAxes = held;
  state.all = linesOf(groups, apart, state.place).map((line, style) => ({...line, style}));
  state.hidden = new Set(state.all.slice(LINES_AT_ONCE).map(({name}) => name));
  state.lines = state.all.filter(({name}) => !state.hidden.has(name));
}

function alongControls(sweep, state, places, axes, renew) {
  const controls = [];
  if (places.length > 1) {
    controls.push(chooser({
      label: "Along",
      value: state.place.key,
      choices: places.map(({key, words: text}) => [key, text]),
      change: (key) => renew({place: places.find((one) => one.key === key), by: ""})
    }));
  }
  if (axes.length > 1) {
    controls.push(chooser({
      label: "A line for each",
      value: state.by,
      choices: [...axes.map(({name}) => [name, name]), ["*", "combination"]],
      change: (by) => renew({by})
    }));
  }
  for (const {name, values} of state.heldAxes) {
    controls.push(chooser({
      label: `${name} held at`,
      value: state.held[name],
      choices: values.map((value) => [value, value]),
      change: (value) => renew({held: {...state.held, [name]: value}})
    }));
  }
  return controls;
}

function lineButtons(state, changed) {
  const button = ({name, style}) => {
    const one = el("button", {type: "button", class: "line-button", "aria-pressed": "true"},
      swatch(style), el("span", null, name));
    const show = () => one.setAttribute("aria-pressed", String(!state.hidden.has(name)));
    one.addEventListener("click", () => {
      if (state.hidden.has(name))
        state.hidden.delete(name);
      else
        state.hidden.add(name);
      state.lines = state.all.filter((line) => !state.hidden.has(line.name));
      show();
      changed();
    });
    show();
    return one;
  };
  return state.all.map(button);
}

// ---- against each other

function frontChart(sweep, front, {x, y}) {
  const [fx, fy] = [SWEEP_FIGURES[x], SWEEP_FIGURES[y]];
  const point = (group) => ({
    x: group.figure(x).mean,
    y: group.figure(y).mean,
    lines: () => [group.name, `${fx.words}: ${meanText(group.figure(x), fx.kind)}`,
      `${fy.words}: ${meanText(group.figure(y), fy.kind)}`]
  });
  const onFront = new Set(front);
  const others =
    sweep.groups.filter((group) => !onFront.has(group) && group.figure(x) && group.figure(y));
  const series = [
    {name: "not on the front", style: 6, faint: true, size: 3, points: others.map(point)},
    {
      name: "on the front: nothing is at least as good in both",
      style: 1,
      line: true,
      solid: true,
      size: 5,
      step: fx.better === "low",
      points: front.map((group) => ({...point(group), name: front.length <= 14 ? group.name : ""}))
    },
  ].filter(({points}) => points.length > 0);
  const name = `${fy.words} against ${fx.words.toLowerCase()}`;
  return [
    seriesLegend(series), lineChart({
      label: name,
      series,
      height: 400,
      about: `${plural(front.length, "point")} of ${
        countText(sweep.groups.length)} on the Pareto front.`,
      x: {kind: fx.kind, label: `${fx.words}, ${fx.better === "low" ? "less" : "more"} is better`},
      y: {kind: fy.kind, label: `${fy.words}, ${fy.better === "low" ? "less" : "more"} is better`}
    }).node
  ];
}

function frontTable(sweep, front) {
  const shown = sweep.axes.filter(({name, values}) => name !== SEED && values.length > 1);
  return dataTable({
    caption: "Points of the Pareto front",
    rows: front,
    what: ["point", "points"],
    columns: [
      ...shown.map(({name}, i) => ({
        label: name,
        value: (group) => group.axes[name] ?? null,
        reason: () => "the axis names nothing of this point",
        header: i === 0
      })),
      ...sweep.groupFigures.map((name) => ({
        label: figureLabel(name),
        kind: SWEEP_FIGURES[name].kind,
        value: (group) => group.figure(name)?.mean ?? null,
        reason: () => "no such figure in its report"
      })),
      {label: "Seeds", kind: "count", value: (group) => group.count},
    ]
  });
}

function figureLabel(name) {
  return SWEEP_FIGURES[name].words + (SWEEP_FIGURES[name].kind === "bytes" ? " (bytes)" : "");
}

function frontFigure(sweep) {
  const bytes =
    firstKnown(sweep.groupFigures, ["saved_distinct_bytes", "peak_bytes", "step_seconds"]);
  const quality = firstKnown(sweep.groupFigures,
    ["cosine", "top1", "mean_layer_cosine", "test_loss", "train_loss", "samples_per_second"]);
  if (!bytes || !quality) return null;
  const chosen = {x: bytes, y: quality};
  const holder = el("div");
  const own = {};
  const build = (change) => {
    Object.assign(chosen, change);
    own.front = paretoFront(sweep.groups, chosen.x, chosen.y);
    holder.replaceChildren(
      ...(own.front.length > 0 ? frontChart(sweep, own.front, chosen) :
                                 [el("p", {class: "about"}, "No point has both figures.")]));
    own.figure?.renew();
    redrawAll();
  };
  build({});
  const choices = sweep.groupFigures.map((name) => [name, SWEEP_FIGURES[name].words]);
  own.figure = figure({
    title: "Pareto front",
    plot: holder,
    table: () => frontTable(sweep, own.front),
    about: sweep.seeds ? "Means over seeds." : null,
    controls: [
      chooser({label: "Across", choices, value: bytes, change: (x) => build({x})}),
      chooser({label: "Up", choices, value: quality, change: (y) => build({y})})
    ]
  });
  return own.figure.node;
}

// ---- single points

const POINT_MEASURES = {
  ...Object.fromEntries(
    ["saved_distinct_bytes", "saved_marginal_bytes", "own_peak_bytes"].map((key) => [key, {
      words: LAYER_MEASURES[key],
      kind: "bytes",
      scale: (values) => colourScale(values, {low: 0})
    }])),
};

function chosenPointsFigures(sweep) {
  const details = sweep.report.details ?? [];
  const byId = new Map(sweep.report.points.map((point) => [point.id, point]));
  const rows = details.map(
    (one) => ({...one, layers: one.layers ?? [], name: pointName(byId.get(one.id), sweep.axes)}));
  const left = sweep.report.details_left_out ?? 0;
  const about = "The points of the Pareto fronts of bytes and cosine or accuracy, and at most 50 " +
    `others, evenly chosen${
      left > 0 ? `; ${countText(left)} left out to keep the page small` : ""}.`;
  const layered = (front) => rows.filter((row) => row.front === front && row.layers.length > 0);
  const map = layerMap({
    title: "Points by layer",
    about,
    measures: {...fidelityHeatMeasures(), ...POINT_MEASURES},
    groups:
      [{name: "the fronts", rows: layered(true)}, {name: "other points", rows: layered(false)}]
  });
  const composed =
    rows.filter((row) => row.front && row.memory).slice(0, BARS_AT_ONCE).map(({name,
      memory}) => ({label: name, report: {memory}}));
  return [map, composed.length > 0 && compositionFigure(composed)].filter(Boolean);
}

function pointsTable(sweep) {
  return dataTable({
    caption: "All points",
    rows: sweep.report.points,
    what: ["point", "points"],
    searched: (point) => `${point.id} ${STATUS_WORDS[point.status]} ${point.reason} ` +
      sweep.axes.map(({name}) => `${name}=${point.axes[name] ?? ""}`).join(" "),
    columns: [
      {label: "Point", value: (point) => point.id, header: true},
      ...sweep.axes.map(({name}) => ({
        label: name,
        value: (point) => point.axes[name] ?? null,
        reason: (point) => point.axes[`${name}_reason`]
      })),
      {label: "Status", value: (point) => STATUS_WORDS[point.status] ?? words(point.status)},
      {label: "Why", value: (point) => point.reason},
      ...sweep.figures.map((name) => ({
        label: figureLabel(name),
        kind: SWEEP_FIGURES[name].kind,
        value: (point) => pointFigure(point, name),
        reason: (point) => (name === "seconds" ? point.seconds_reason :
                                                 point.figures?.[`${name}_reason`] ??
              (point.status === "finished" ? "no such figure in its report" :
                                             `the point is ${STATUS_WORDS[point.status]}`))
      })),
      {
        label: "Estimated (bytes)",
        kind: "bytes",
        value: (point) => point.estimated_bytes,
        reason: (point) => point.estimated_bytes_reason
      },
    ]
  });
}

function valuesText(values) {
  const more = values.length - VALUES_SHOWN;
  return values.slice(0, VALUES_SHOWN).join("  |  ") +
    (more > 0 ? `  and ${countText(more)} more` : "");
}

function sweepHead(sweep) {
  const {report} = sweep;
  const tiles = [
    ["Points", report.points.length],
    ...Object.entries(STATUS_WORDS).map(([status, text]) => [capital(text), sweep.count(status)])
  ].filter(([text, count]) => count > 0 || text === "Points");
  return [
    el("dl", {class: "tiles"},
      tiles.map(([name, count]) => el("div", {class: "tile"}, el("dt", null, name),
                  el("dd", null, figureText("count", count))))),
    el("div", {class: "card"}, el("h3", null, `What was swept with sbp-${report.command}`),
      report.about && el("p", {class: "about"}, report.about),
      pairsTable("Axes", report.axes.map(({name, values}) => [name, valuesText(values)])))
  ];
}

function sweepSections(inputs) {
  const sweeps = inputs.filter(({report}) => report.kind === "sweep");
  return sweeps.flatMap((input, i) => {
    const sweep = new Sweep(input);
    const id = (name) => (sweeps.length === 1 ? name : `${name}-${i + 1}`);
    const of = sweeps.length === 1 ? "" : `: ${input.label}`;
    const along = alongSection(sweep);
    const front = frontFigure(sweep);
    const layers = chosenPointsFigures(sweep);
    return [
      section(id("sweep"), `The sweep${of}`, sweepHead(sweep)),
      along && section(id("along"), `Trade-offs${of}`, along),
      front && section(id("front"), `Pareto front${of}`, front),
      layers.length > 0 && section(id("by-layer"), `Chosen points${of}`, layers),
      section(id("points"), `All points${of}`, el("div", {class: "card"}, pointsTable(sweep))),
    ];
  });
}
