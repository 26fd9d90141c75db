// Bars made of parts: one below the other (few, compared with each other), or side by side along
// the depth of a model (many).
//
// A row: {name, parts: [{name, value, colour, hatched}], total}; a column has a `short` name too,
// and `lines()`: what it says when pointed at.

const BAR_HEIGHT = 30;

function partRect(part, box, text) {
  const group = svg("g", {class: `part ${part.colour}`}, svg("rect", {class: "fill", ...box}));
  if (part.hatched) group.append(svg("rect", {class: "hatch", ...box, fill: "url(#hatch)"}));
  if (text) {
    group.append(label(box.x + box.width / 2, box.y + box.height / 2 + 4, text,
      {"text-anchor": "middle", class: "in-bar"}));
  }
  return group;
}

// The pattern that all hatched parts of the page share; put into the page once.
function hatchPattern() {
  return svg("svg", {class: "visually-hidden", width: 0, height: 0, "aria-hidden": "true"},
    svg("pattern", {
      id: "hatch",
      width: 6,
      height: 6,
      patternUnits: "userSpaceOnUse",
      patternTransform: "rotate(45)"
    },
      svg("path", {d: "M0,0V6", class: "hatch-line"})));
}

function partLines(row, part, kind) {
  return [
    part.name, `${KINDS[kind].shown(part.value)}, ${KINDS[kind].exact(part.value)}`,
    `${shareText(part.value, row.total)} of ${KINDS[kind].shown(row.total)}`, row.name
  ];
}

function stackedBars({label: name, about, rows, kind, axisLabel}) {
  const draw = (width) => {
    const named = rows.length > 1;
    const beside = named && width > 560;
    const names =
      beside ? Math.min(240, Math.max(...rows.map((row) => textWidth(row.name))) + 12) : 0;
    const pitch = BAR_HEIGHT + (named && !beside ? 34 : 14);
    const height = rows.length * pitch + 8 + AXIS_HEIGHT;
    const [left, right] = [Math.max(names, 6), width - 84];
    const axis = axisOf({
      kind,
      low: 0,
      high: Math.max(...rows.map(({total}) => total)),
      label: axisLabel,
      count: Math.max(2, Math.floor(width / 130)),
      round: false
    });
    const X = linearScale(axis.domain, [left, right]);
    const drawing = canvas(width, height);
    const items = [];
    const grid = svg("g", {class: "grid"});
    const words_ = svg("g", {class: "axis"});
    for (const {value, text} of axis.ticks) {
      grid.append(svg("path", {d: `M${X(value)},2V${height - AXIS_HEIGHT + 4}`}));
      words_.append(label(X(value), height - AXIS_HEIGHT + 18, text, {"text-anchor": "middle"}));
    }
    words_.append(label(
      (left + right) / 2, height - 6, axis.label, {"text-anchor": "middle", class: "axis-label"}));
    drawing.append(grid, words_);
    rows.forEach((row, index) => {
      const y = index * pitch + 8 + (named && !beside ? 18 : 0);
      if (beside) {
        drawing.append(label(left - 10, y + BAR_HEIGHT / 2 + 4, fittedEnd(row.name, names - 10),
          {"text-anchor": "end", class: "row-name"}));
      } else if (named) {
        drawing.append(label(left, y - 6, fittedEnd(row.name, width - 12), {class: "row-name"}));
      }
      let from = 0;
      row.parts.forEach((part, step) => {
        const box =
          {x: X(from), y, width: Math.max(0.5, X(from + part.value) - X(from)), height: BAR_HEIGHT};
        const text = textWidth(part.name) + 12 <= box.width ? part.name : "";
        drawing.append(partRect(part, box, text));
        items.push({...box, row: index, step, lines: () => partLines(row, part, kind)});
        from += part.value;
      });
      drawing.append(label(
        X(row.total) + 8, y + BAR_HEIGHT / 2 + 4, KINDS[kind].shown(row.total), {class: "total"}));
    });
    return {drawing, items};
  };
  return new Plot({label: name, about: () => about, draw});
}

function stackedColumns({label: name, about, columns, kind, axisLabel, height = 280, most}) {
  const below = 14 + 0.77 * Math.min(26, Math.max(...columns.map((one) => one.short.length))) * 6.7;
  const draw = (width) => {
    const axis = axisOf(
      {kind, low: 0, high: most ?? mostOf(columns.map(({total}) => total)), label: axisLabel});
    const left = 30 + Math.max(...axis.ticks.map(({text}) => textWidth(text)));
    const bottom = height - below;
    const Y = linearScale(axis.domain, [bottom, 10]);
    const pitch = (width - left - 8) / columns.length;
    const X = (index) => left + index * pitch;
    const gap = pitch > 8 ? 2 : pitch > 3 ? 1 : 0;
    const drawing = canvas(width, height);
    const grid = svg("g", {class: "grid"});
    const words_ = svg("g", {class: "axis"});
    for (const {value, text} of axis.ticks) {
      grid.append(svg("path", {d: `M${left},${Y(value)}H${width - 8}`}));
      words_.append(label(left - 7, Y(value) + 4, text, {"text-anchor": "end"}));
    }
    words_.append(
      svg("path", {d: `M${left},${bottom}H${width - 8}`}), label(0, 0, fitted(axis.label, bottom), {
        "text-anchor": "middle",
        class: "axis-label",
        transform: `translate(11 ${(bottom + 10) / 2}) rotate(-90)`
      }));
    drawing.append(grid, words_,
      slantedNames(columns.map(({short}) => short), (i) => X(i) + pitch / 2, bottom + 12));
    const items = [];
    columns.forEach((one, index) => {
      let from = 0;
      for (const part of one.parts) {
        drawing.append(partRect(part, {
          x: X(index) + gap / 2,
          y: Y(from + part.value),
          width: Math.max(0.5, pitch - gap),
          height: Y(from) - Y(from + part.value)
        }));
        from += part.value;
      }
      items.push({
        x: X(index),
        y: Y(one.total),
        width: pitch,
        height: bottom - Y(one.total),
        row: 0,
        step: index,
        lines: one.lines
      });
    });
    // The whole column answers the pointer, also above a low one.
    const items_ = items.map((item) => ({...item, y: 10, height: bottom - 10}));
    return {drawing, items: items_};
  };
  return new Plot(
    {label: name, about: () => about, draw, leastWidth: Math.min(4000, 60 + 3 * columns.length)});
}

// From the least to the most with the mean, a row a line.
function rangeChart({label: name, rows, kind, axisLabel}) {
  const about = rows
                  .map((row) => `${row.name}: ${KINDS[kind].shown(row.minimum)} to ` +
                      `${KINDS[kind].shown(row.maximum)}, mean ${KINDS[kind].shown(row.mean)}`)
                  .join("; ");
  const draw = (width) => {
    const beside = width > 560;
    const names =
      beside ? Math.min(240, Math.max(...rows.map((row) => textWidth(row.name))) + 12) : 8;
    const pitch = beside ? 26 : 42;
    const height = rows.length * pitch + 8 + AXIS_HEIGHT;
    const axis = axisOf({
      kind,
      label: axisLabel,
      low: Math.min(...rows.map(({minimum}) => minimum)),
      high: Math.max(...rows.map(({maximum}) => maximum)),
      count: Math.max(2, Math.floor(width / 110))
    });
    const X = linearScale(axis.domain, [names + 6, width - 20]);
    const drawing = canvas(width, height);
    const grid = svg("g", {class: "grid"});
    const words_ = svg("g", {class: "axis"});
    for (const {value, text} of axis.ticks) {
      grid.append(svg("path", {d: `M${X(value)},2V${height - AXIS_HEIGHT + 4}`}));
      words_.append(label(X(value), height - AXIS_HEIGHT + 18, text, {"text-anchor": "middle"}));
    }
    words_.append(label(
      (names + width) / 2, height - 6, axis.label, {"text-anchor": "middle", class: "axis-label"}));
    drawing.append(grid, words_);
    const items = [];
    rows.forEach((row, index) => {
      const y = index * pitch + pitch / 2 + (beside ? 4 : 12);
      drawing.append(beside ?
          label(names - 4, y + 4, fittedEnd(row.name, names - 10),
            {"text-anchor": "end", class: "row-name"}) :
          label(8, y - 11, fittedEnd(row.name, width - 16), {class: "row-name"}));
      drawing.append(svg("g", {class: "series s0"},
        svg("path", {class: "line range", d: `M${X(row.minimum)},${y}H${X(row.maximum)}`}),
        svg("path", {
          class: "marker",
          d: `M${X(row.minimum)},${y}${MARKERS[1](3.5)}M${X(row.maximum)},` +
            `${y}${MARKERS[1](3.5)}`
        }),
        svg("path", {class: "marker mean", d: `M${X(row.mean)},${y}${MARKERS[0](5.5)}`})));
      ["minimum", "mean", "maximum"].forEach((key, step) => items.push({
        x: X(row[key]),
        y,
        row: index,
        step,
        lines:
          () => [`${key} ${KINDS[kind].shown(row[key])}`, row[`${key}_layer`], row.name].filter(
            Boolean)
      }));
    });
    return {drawing, items};
  };
  return new Plot({label: name, about: () => about, draw});
}
