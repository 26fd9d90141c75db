// The spelling of numbers: as sbp-report writes them in text.

const BYTE_UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

function bytesText(bytes) {
  if (Math.abs(bytes) < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  let unit = 0;
  // 1023.95 would be shown as 1024.0 of the smaller unit.
  while (Math.abs(value) >= 1023.95 && unit + 1 < BYTE_UNITS.length) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

function countText(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

function secondsText(seconds) {
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(1)} ms`;
  if (seconds < 60) return `${seconds.toFixed(2)} s`;
  const whole = Math.trunc(seconds);
  if (whole < 3600) return `${Math.trunc(whole / 60)} min ${whole % 60} s`;
  return `${Math.trunc(whole / 3600)} h ${Math.trunc(whole / 60) % 60} min`;
}

function numberText(value, digits = 4) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(Math.max(0, digits - 2));
  const [whole, rest] = String(Number(value.toPrecision(digits))).split(".");
  return rest ? `${countText(whole)}.${rest}` : countText(whole);
}

function shareText(part, whole) {
  return whole === 0 ? "-" : `${((100 * part) / whole).toFixed(1)} %`;
}

// Four decimals, and as many more as it takes to tell a ratio from 1.
function ratioText(value) {
  for (let decimals = 4;; decimals += 1) {
    const text = value.toFixed(decimals);
    if (Number(text) !== 1 || value === 1 || decimals > 12) return text;
  }
}

// How figures of a kind are written: `shown` for reading, `exact` for checking, `unit` for axes.
const KINDS = {
  bytes: {shown: bytesText, exact: (n) => `${countText(n)} bytes`, plain: countText},
  seconds: {shown: secondsText, exact: (n) => `${n} s`, plain: (n) => String(n)},
  count: {shown: countText, exact: countText, plain: countText},
  ratio: {shown: ratioText, exact: String, plain: String},
  share: {shown: (n) => `${(100 * n).toFixed(2)} %`, exact: String, plain: String},
  word: {shown: String, exact: String, plain: String},
  number: {shown: (n) => numberText(n, 5), exact: String, plain: String},
};

// A figure for reading, with its exact value on hover and for machines in `value`.
function figureText(kind, value) {
  if (kind === "word") return el("span", null, value);
  return el("data", {value, title: KINDS[kind].exact(value)}, KINDS[kind].shown(value));
}

// "phase optimizer_step" is "optimizer step" to people.
function words(name) {
  return name.replaceAll("_", " ");
}

function plural(count, one, many = `${one}s`) {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

function capital(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

// The ends of some values, and of `other` where there is one. Lists may be too long to be
// arguments.
function mostOf(values, other = -Infinity) {
  return values.reduce((most, value) => Math.max(most, value), other);
}

function leastOf(values, other = Infinity) {
  return values.reduce((least, value) => Math.min(least, value), other);
}
