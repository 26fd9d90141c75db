// The reports of the page, as their JSON files say them. Long lists of like objects come as
// columns, which is a fraction of the size; here they become lists of objects again.

function column(description, count) {
  const {key, at, words} = description;
  const path = Array.isArray(key) ? key : [key];
  return {
    path,
    at: at ?? null,
    count: at ? at.length : count,
    value: words ? (i) => words[description.values[i]] : (i) => expand(description.values[i])
  };
}

function put(object, path, value) {
  let place = object;
  for (const name of path.slice(0, -1)) place = place[name] ??= {};
  place[path.at(-1)] = value;
}

function rowsOf(table) {
  const rows = Array.from({length: table["~rows"]}, () => ({}));
  for (const description of table.columns) {
    const {path, at, count, value} = column(description, rows.length);
    for (let i = 0; i < count; i += 1) put(rows[at ? at[i] : i], path, value(i));
  }
  return rows;
}

function expand(value) {
  if (Array.isArray(value)) return value.map(expand);
  if (value === null || typeof value !== "object") return value;
  if ("~rows" in value) return rowsOf(value);
  const object = {};
  for (const [key, member] of Object.entries(value)) object[key] = expand(member);
  return object;
}

function readData() {
  return expand(JSON.parse(document.getElementById("data").textContent));
}
