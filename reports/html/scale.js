// Where a value lies on an axis, and which values to write beside it.

function linearScale([low, high], [from, to]) {
  const span = high - low || 1;
  const scale = (value) => from + ((value - low) / span) * (to - from);
  scale.domain = [low, high];
  return scale;
}

function logScale([low, high], [from, to]) {
  const scale = linearScale([Math.log10(low), Math.log10(high)], [from, to]);
  return (value) => scale(Math.log10(value));
}

// Powers of ten around [low, high].
function logAxisOf({low, high, label}) {
  const from = Math.floor(Math.log10(low) + 1e-9);
  const to = Math.max(from + 1, Math.ceil(Math.log10(high) - 1e-9));
  const every = Math.ceil((to - from) / 6);
  const ticks = [];
  for (let power = from; power <= to; power += every) {
    ticks.push({
      value: 10 ** power,
      text: power >= -3 && power <= 3 ? String(Number((10 ** power).toPrecision(1))) : `1e${power}`
    });
  }
  return {domain: [10 ** from, 10 ** to], ticks, label, scale: logScale};
}

// A step of 1, 2 or 5 times a power of ten, so that about `count` fit.
function niceStep(span, count) {
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const rest = raw / power;
  return power * (rest < 1.5 ? 1 : rest < 3 ? 2 : rest < 7 ? 5 : 10);
}

function ticksBetween(low, high, step) {
  const ticks = [];
  const first = Math.ceil(low / step - 1e-9);
  for (let i = first; i * step <= high + step * 1e-9; i += 1) ticks.push(i * step);
  return ticks;
}

function decimalsOf(step) {
  return Math.min(10, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}

// The unit that the largest value is well written in: its size and name.
const AXIS_UNITS = {
  bytes: [[1024 ** 4, "TiB"], [1024 ** 3, "GiB"], [1024 ** 2, "MiB"], [1024, "KiB"], [1, "bytes"]],
  seconds: [[3600, "hours"], [60, "minutes"], [1, "s"], [1e-3, "ms"], [1e-6, "µs"]],
  share: [[0.01, "%"]],
};

function axisUnit(kind, largest) {
  const units = AXIS_UNITS[kind];
  if (!units) return [1, ""];
  const least = kind === "bytes" ? 2 : 1;
  return units.find(([size]) => largest >= least * size) ?? units.at(-1);
}

// An axis over [low, high]: ends on ticks where `round`, words for each tick, label with its unit.
function axisOf({kind, low, high, label, count = 5, round = true}) {
  if (low === high) [low, high] = low === 0 ? [0, 1] : [Math.min(low, 0), Math.max(high, 0)];
  const [size, unit] = axisUnit(kind, Math.max(Math.abs(low), Math.abs(high)));
  let step = niceStep((high - low) / size, count);
  if (kind === "count") step = Math.max(1, step);
  let [from, to] = [low / size, high / size];
  if (round) {
    from = Math.floor(from / step + 1e-9) * step;
    to = Math.ceil(to / step - 1e-9) * step;
  }
  const decimals = decimalsOf(step);
  const ticks = ticksBetween(from, to, step).map((value) => ({
    value: value * size,
    text: decimals === 0 ? countText(Math.round(value) || 0) :
                           value.toFixed(decimals).replace(/^-(0\.0+)$/, "$1"),
  }));
  return {
    domain: [from * size, to * size],
    ticks,
    scale: linearScale,
    label: unit ? `${label} (${unit})` : label
  };
}
