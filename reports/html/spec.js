// Strategy specs: long as reports resolve them, short where people read them.

// "sbp:keep=0.5,mask=grid+quant:bits=4" -> [{name, keys: [[key, value]]}]; quotes hide signs.
function specParts(spec) {
  return splitOutside(spec, "+").map((part) => {
    const colon = part.indexOf(":");
    if (colon < 0) return {name: part, keys: []};
    const keys = splitOutside(part.slice(colon + 1), ",").map((pair) => {
      const sign = pair.indexOf("=");
      return sign < 0 ? [pair, ""] : [pair.slice(0, sign), pair.slice(sign + 1)];
    });
    return {name: part.slice(0, colon), keys};
  });
}

function splitOutside(text, separator) {
  const parts = [""];
  let depth = 0;
  let inQuotes = false;
  for (const sign of text) {
    if (sign === "\"")
      inQuotes = !inQuotes;
    else if (!inQuotes && sign === "[")
      depth += 1;
    else if (!inQuotes && sign === "]")
      depth -= 1;
    if (sign === separator && !inQuotes && depth <= 0)
      parts.push("");
    else
      parts[parts.length - 1] += sign;
  }
  return parts;
}

// The keys that say how much is left out.
const TELLING_KEYS = new Set(["keep", "gamma", "bits", "part", "ratio"]);

function specText(parts, wanted) {
  return parts
    .map(({name, keys}) => {
      const shown =
        keys.filter(([key, value]) => wanted(name, key)).map(([key, value]) => `${key}=${value}`);
      return shown.length > 0 ? `${name}:${shown.join(",")}` : name;
    })
    .join("+");
}

function shortSpec(spec) {
  return specText(specParts(spec), (name, key) => TELLING_KEYS.has(key));
}
