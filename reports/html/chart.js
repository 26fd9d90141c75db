// Lines and points over two axes.
//
// A series: {name, style, points, line, step, fill, marker}; a point: {x, y, low, high, lines,
// name}: `lines()` are read when pointed at, `name` is written beside it. A band is a stretch of x
// with a name; a rule is a level of y with a name.

const AXIS_HEIGHT = 44;
const BAND_HEIGHT = 20;

function chartFrame({width, height, x, y, top = 10, right = 14}) {
  const left = 14 + 16 + Math.max(...y.ticks.map(({text}) => textWidth(text)));
  const inner = {left, right: width - right, top, bottom: height - AXIS_HEIGHT};
  const X = x.scale(x.domain, [inner.left, inner.right]);
  const Y = y.scale(y.domain, [inner.bottom, inner.top]);
  const drawing = canvas(width, height);
  const grid = svg("g", {class: "grid"});
  const axis = svg("g", {class: "axis"});
  for (const {value, text} of y.ticks) {
    grid.append(svg("path", {d: `M${inner.left},${Y(value)}H${inner.right}`}));
    axis.append(label(inner.left - 7, Y(value) + 4, text, {"text-anchor": "end"}));
  }
  let lastEnd = -Infinity;
  for (const {value, text} of x.ticks) {
    const middle = X(value);
    axis.append(svg("path", {d: `M${middle},${inner.bottom}v5`}));
    if (middle - textWidth(text) / 2 < lastEnd + 10) continue;
    axis.append(label(middle, inner.bottom + 18, text, {"text-anchor": "middle"}));
    lastEnd = middle + textWidth(text) / 2;
  }
  axis.append(svg("path", {d: `M${inner.left},${inner.bottom}H${inner.right}`}),
    label((inner.left + inner.right) / 2, height - 6, fitted(x.label, inner.right - inner.left),
      {"text-anchor": "middle", class: "axis-label"}),
    label(0, 0, fitted(y.label, inner.bottom - inner.top + 20), {
      "text-anchor": "middle",
      class: "axis-label",
      transform: `translate(11 ${(inner.top + inner.bottom) / 2}) rotate(-90)`
    }));
  drawing.append(grid, axis);
  return {drawing, inner, X, Y, grid};
}

function pathOf(points, X, Y, step) {
  let path = "";
  let pen = "M";
  for (const point of points) {
    if (!isDrawn(point)) {
      pen = "M";
    } else if (step && pen === "L") {
      path += `H${X(point.x).toFixed(2)}V${Y(point.y).toFixed(2)}`;
    } else {
      path += `${pen}${X(point.x).toFixed(2)},${Y(point.y).toFixed(2)}`;
      pen = "L";
    }
  }
  return path;
}

function errorBars(points, X, Y) {
  let path = "";
  for (const {x, low, high} of points) {
    if (low === undefined || low === null) continue;
    const at = X(x).toFixed(2);
    path += `M${at},${Y(low).toFixed(2)}V${Y(high).toFixed(2)}` +
      `M${X(x) - 4},${Y(low).toFixed(2)}h8M${X(x) - 4},${Y(high).toFixed(2)}h8`;
  }
  return path && svg("path", {class: "error-bar", d: path});
}

// All markers of a series in one path: thousands of points are one element.
function markersOf(points, X, Y, {marker}, size) {
  const shape = marker(size);
  const path = points.filter(isDrawn)
                 .map(({x, y}) => `M${X(x).toFixed(1)},${Y(y).toFixed(1)}${shape}`)
                 .join("");
  return svg("path", {class: "marker", d: path});
}

function isDrawn({y}) {
  return y !== null && Number.isFinite(y);
}

function seriesNode(series, {X, Y, inner}) {
  const style = styleOf(series.style);
  const {points} = series;
  const shown = svg("g", {class: `series ${style.colour} ${series.faint ? "faint" : ""}`});
  if (series.fill && points.length > 0) {
    shown.append(svg("path", {
      class: "area",
      d: `${pathOf(points, X, Y, series.step)}` +
        `V${inner.bottom}H${X(points[0].x)}Z`
    }));
  }
  const bars = errorBars(points, X, Y);
  if (bars) shown.append(bars);
  if (series.line) {
    shown.append(svg("path", {
      class: "line",
      d: pathOf(points, X, Y, series.step),
      "stroke-dasharray": series.solid ? null : style.dash
    }));
  }
  if (series.marker ?? true) shown.append(markersOf(points, X, Y, style, series.size ?? 4));
  return shown;
}

function bandNodes(bands, {X, inner}, top) {
  return bands.map(({from, to, name}, i) => {
    const [left, right] = [X(from), X(to)];
    const text = fitted(name, right - left - 6);
    return svg("g", {class: `band ${i % 2 ? "odd" : "even"}`},
      svg("rect", {x: left, y: top, width: Math.max(0, right - left), height: inner.bottom - top}),
      text && label((left + right) / 2, top + 14, text, {"text-anchor": "middle"}));
  });
}

function ruleNodes(rules, {Y, inner}) {
  const placed = [];
  return rules.map(({y, name, style}) => {
    const at = Y(y);
    let text = at - 5;
    while (placed.some((other) => Math.abs(other - text) < 13)) text += 14;
    placed.push(text);
    return svg("g", {class: `rule ${style === undefined ? "" : styleOf(style).colour}`},
      svg("path", {d: `M${inner.left},${at}H${inner.right}`}),
      label(inner.left + 6, text, fitted(name, inner.right - inner.left)));
  });
}

function markNodes(marks, {X, Y, inner}) {
  return marks.map(({x, y, name}) => {
    const [left, top] = [X(x), Y(y)];
    const end = left + textWidth(name) + 12 > inner.right;
    return svg("g", {class: "mark"}, svg("path", {d: `M${left},${inner.bottom}V${top}`}),
      svg("circle", {cx: left, cy: top, r: 4.5}),
      label(left + (end ? -9 : 9), Math.max(inner.top + 10, top - 8), name,
        {"text-anchor": end ? "end" : "start"}));
  });
}

function itemsOf(series, {X, Y}) {
  return series.flatMap(({points, line}, row) =>
                          points.filter((point) => point.lines && isDrawn(point)).map((point) => ({
                            x: X(point.x),
                            y: Y(point.y),
                            row,
                            step: X(point.x),
                            lines: point.lines,
                            alongX: line && series.length === 1
                          })));
}

// Names beside points, where they hide no other name and no point.
function nameNodes(series, {X, Y, inner}) {
  const named =
    series.flatMap(({points, style, step}) => points.filter((point) => point.name && isDrawn(point))
                                                .map((point) => ({...point, style, step})));
  const taken = series.flatMap(({points}) => points.filter(isDrawn).map(({x,
    y}) => ({left: X(x) - 6, right: X(x) + 6, top: Y(y) - 6, bottom: Y(y) + 6})));
  const hits = (a, b) =>
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return named.flatMap(({x, y, name, style, step}) => {
    const width = textWidth(name);
    const [at, level] = [X(x), Y(y)];
    // Of steps the line goes on to the right, at the point's own level.
    const beside = step ? [at + 9, level - 7, "start"] : [at + 9, level + 4, "start"];
    const places =
      [beside, [at - 9, level + 4, "end"], [at, level - 10, "middle"], [at, level + 19, "middle"]];
    for (const [left, base, anchor] of places) {
      const start = anchor === "start" ? left : anchor === "end" ? left - width : left - width / 2;
      const box = {left: start, right: start + width, top: base - 11, bottom: base + 3};
      if (box.left < inner.left || box.right > inner.right + 10 || box.top < inner.top ||
        box.bottom > inner.bottom || taken.some((other) => hits(box, other)))
        continue;
      taken.push(box);
      return [label(
        left, base, name, {"text-anchor": anchor, class: `point-name ${styleOf(style).colour}`})];
    }
    return [];
  });
}

// The ends of what is drawn, error bars and rules included.
function extent(series, rules = []) {
  const low = {x: Infinity, y: Infinity};
  const high = {x: -Infinity, y: -Infinity};
  const take = (axis, value) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return;
    low[axis] = Math.min(low[axis], value);
    high[axis] = Math.max(high[axis], value);
  };
  for (const {points} of series) {
    for (const point of points) {
      take("x", point.x);
      for (const value of [point.y, point.low, point.high]) take("y", value);
    }
  }
  for (const {y} of rules) take("y", y);
  return {low, high};
}

// `x`, `y`: {kind, label, from, log}: `from` is a value that the axis reaches down to at least;
// `log` (of y): powers of ten, all values above 0.
function lineChart(
  {label: name, about, x, y, series, bands = [], rules = [], marks = [], height = 300}) {
  const {low, high} = extent(series, rules);
  const draw = (width) => {
    const axes = {
      x: axisOf({
        kind: x.kind,
        label: x.label,
        low: Math.min(low.x, x.from ?? Infinity),
        high: high.x,
        count: Math.max(2, Math.floor(width / 90)),
        round: x.round ?? true
      }),
      y: (y.log ? logAxisOf : axisOf)({
        kind: y.kind,
        label: y.label,
        low: Math.min(low.y, y.from ?? Infinity),
        high: Math.max(high.y, y.to ?? -Infinity),
        count: Math.floor(height / 50)
      }),
    };
    const top = bands.length > 0 ? 4 + BAND_HEIGHT : 14;
    const frame = chartFrame({width, height, ...axes, top});
    frame.drawing.prepend(...bandNodes(bands, frame, 4));
    frame.drawing.append(...ruleNodes(rules, frame), ...series.map((one) => seriesNode(one, frame)),
      ...markNodes(marks, frame), ...nameNodes(series, frame));
    return {drawing: frame.drawing, items: itemsOf(series, frame)};
  };
  return new Plot({label: name, about: () => about, draw});
}
