// What was run and what came out: headline figures, warnings, and all the run depended on.

const MEMORY_FIGURES = [
  {
    name: "Peak",
    kind: "bytes",
    of: ({memory}) => memory?.peak_bytes,
    note: ({memory}) => `in ${peakWords(memory)}`
  },
  {
    name: "Saved for backward",
    kind: "bytes",
    of: ({memory}) => memory?.saved.distinct_bytes,
    note: ({memory}) =>
      `${plural(memory.saved.count, "save")}; logical ` + bytesText(memory.saved.logical_bytes)
  },
  {name: "Transient at the peak", kind: "bytes", of: ({memory}) => memory?.transient_peak_bytes},
  {
    name: "Indices and scales",
    kind: "bytes",
    of: ({memory}) => memory?.saved.index_bytes,
    note: () => "part of what is saved"
  },
];

const FIGURES = {
  profile: [
    ...MEMORY_FIGURES,
    {
      name: "Step time, median",
      kind: "seconds",
      of: ({time}) => time?.step_seconds.median,
      reason: (report) => report.time_reason,
      note: ({time}) =>
        `${time.step_seconds.count} steps; ${secondsText(time.step_seconds.minimum)} ` +
        `to ${secondsText(time.step_seconds.maximum)}`
    },
    {
      name: "Samples per second",
      kind: "number",
      of: ({time}) => time?.samples_per_second,
      reason: (report) => report.time_reason
    },
  ],
  train: [
    {
      name: "Top-1, test",
      kind: "share",
      of: (report) => report.final_evaluation?.top1,
      reason: (report) => report.final_evaluation_reason ?? report.final_evaluation?.top1_reason,
      note: (report) => `${countText(report.final_evaluation.samples)} samples`
    },
    {
      name: "Loss, test",
      kind: "number",
      of: (report) => report.final_evaluation?.loss,
      reason: (report) => report.final_evaluation_reason ?? report.final_evaluation?.loss_reason
    },
    ...MEMORY_FIGURES.slice(0, 2).map(
      (one) => ({...one, reason: (report) => report.memory_reason})),
    {name: "Steps", kind: "count", of: (report) => report.steps},
    {
      name: "Duration",
      kind: "seconds",
      of: (report) => report.seconds,
      reason: (report) => report.seconds_reason
    },
  ],
  prediction: PREDICTION_FIGURES,
  correlate: [
    {
      name: "Strategies",
      kind: "count",
      of: ({fidelity}) => fidelity.strategies.length,
      note: ({fidelity}) => plural(fidelity.baselines.length, "baseline")
    },
    {
      name: "Training steps before",
      kind: "count",
      of: ({state}) => state?.steps,
      note: ({state}) => state.source
    },
    {
      name: "Exact loss",
      kind: "number",
      of: ({state}) => state?.loss,
      reason: ({state}) => state?.loss_reason
    },
    {
      name: "Exact gradient's norm",
      kind: "number",
      of: ({state}) => state?.gradient_norm,
      reason: ({state}) => state?.gradient_norm_reason
    },
    {
      name: "Batches",
      kind: "count",
      of: ({fidelity}) => fidelity.batches,
      note: () => "that figures are means over"
    },
    {
      name: "Duration",
      kind: "seconds",
      of: (report) => report.seconds,
      reason: (report) => report.seconds_reason
    },
  ],
};

const KEEP_FIGURE = {
  name: "Effective keep ratio",
  kind: "ratio",
  of: ({strategy}) => strategy?.effective_keep_ratio,
  reason: ({strategy}) => strategy?.effective_keep_ratio_reason,
  note: ({strategy}) => (strategy.forward_exact ? "forward exact" : "forward not exact")
};

function headlines(kind) {
  return [
    ...(FIGURES[kind] ?? []),
    ...(["profile", "train", "prediction"].includes(kind) ? [KEEP_FIGURE] : [])
  ];
}

function tile({name, kind, of, reason, note}, report) {
  const value = of(report) ?? null;
  if (value === null) {
    return el("div", {class: "tile"}, el("dt", null, name),
      el("dd", {class: "unknown"}, "unknown",
        el("span", {class: "exact"}, reason?.(report) ?? "the report has no such figure")));
  }
  const exact = kind === "bytes" ? KINDS.bytes.exact(value) : null;
  return el("div", {class: "tile"}, el("dt", null, name),
    el("dd", null, figureText(kind, value), exact && el("span", {class: "exact"}, exact),
      note && el("span", {class: "exact"}, note(report))));
}

// The first report's figure is the measure of the others.
function timesText(value, first) {
  return typeof value === "number" && first ? `${(value / first).toFixed(3)}×` : "";
}

function comparedCell(one, {report}, first, notes) {
  const value = one.of(report) ?? null;
  if (value === null) {
    return el("td", {class: "number"}, unknownCell(one.reason?.(report), notes));
  }
  const small = (text) => text && el("span", {class: "exact"}, text);
  return el("td", {class: "number"}, figureText(one.kind, value),
    small(one.kind === "bytes" && countText(value)), small(timesText(value, first)));
}

function comparisonTable(inputs) {
  const notes = new Footnotes();
  const rows = headlines(inputs[0].report.kind).map((one) => {
    const first = one.of(inputs[0].report);
    const cells = inputs.map((input, i) => comparedCell(one, input, i > 0 ? first : null, notes));
    return el("tr", null, el("th", {scope: "row"}, one.name), cells);
  });
  const names = inputs.map(({label: name}) => el("th", {scope: "col", class: "number"}, name));
  const table = el("table", {class: "comparison"},
    el("caption", {class: "visually-hidden"},
      "Headline figures; the last line of a cell is the ratio to the first report"),
    el("thead", null, el("tr", null, el("td"), names)), el("tbody", null, rows));
  const scroller = el("div",
    {class: "scroller", role: "region", tabindex: "0", "aria-label": "Headline figures"}, table);
  return el("div", {class: "card"}, scroller, notes.reasons.size > 0 && notes.list);
}

function warningsBox(inputs) {
  const found =
    inputs.flatMap((input) => (input.report.warnings ?? []).map((text) => ({input, text})));
  for (const input of inputs) {
    const ledger = input.report.memory?.ledger;
    if (ledger && !ledger.balanced) {
      found.push(
        {input, text: `The books do not balance: ${ledger.first_problem || "records were lost"}.`});
    }
    if (ledger?.peak_is_lower_bound) {
      found.push({input, text: "Records were dropped or unmatched: the peak is a lower bound."});
    }
    if (input.report.interrupted) found.push({input, text: "Interrupted before its end."});
  }
  if (found.length === 0) return null;
  return el("div", {class: "warnings"}, el("h3", null, plural(found.length, "warning")),
    el("ul", null,
      found.map(({input, text}) => el(
                  "li", null, inputs.length > 1 && el("strong", null, `${input.label}: `), text))));
}

function valueText(object, key) {
  const value = object[key];
  if (value === null) return `unknown: ${object[`${key}_reason`] ?? "no reason given"}`;
  if (typeof value === "object") return JSON.stringify(value);
  if (key.endsWith("_bytes")) return `${bytesText(value)} (${countText(value)} bytes)`;
  return String(value);
}

function pairsOf(object) {
  return Object.keys(object ?? {})
    .filter((key) => !key.endsWith("_reason"))
    .map((key) => [words(key), valueText(object, key)]);
}

function planTable(report) {
  const rows = report.plan ?? [];
  const sites = report.plan_sites ?? rows.length;
  if (rows.length === 0) return el("p", {class: "about"}, `${plural(sites, "site")}, all plain.`);
  return el("div", null,
    el("p", {class: "about"},
      `${countText(rows.length)} of ${plural(sites, "site")} differ from plain.`),
    dataTable({
      caption: "Sites of the plan that differ from plain",
      rows,
      what: ["site", "sites"],
      searched: (row) => `${row.site} ${row.kind} ${row.claimed_by} ${row.select} ${row.code}`,
      columns: [
        {label: "Site", value: (row) => row.site, header: true},
        {label: "Kind", value: (row) => row.kind},
        {
          label: "Claimed by",
          value: (row) => row.claimed_by,
          cell: (row) => el("span", {title: row.claimed_by}, shortSpec(row.claimed_by))
        },
        {label: "Select", value: (row) => row.select},
        {
          label: "Keep, asked",
          kind: "ratio",
          value: (row) => row.keep_ratio,
          reason: (row) => row.keep_ratio_reason
        },
        {
          label: "Keep, got",
          kind: "ratio",
          value: (row) => row.effective_keep_ratio,
          reason: (row) => row.effective_keep_ratio_reason
        },
        {label: "Kept rows", kind: "count", value: (row) => row.kept_rows},
        {label: "Rows", kind: "count", value: (row) => row.rows},
        {label: "Materialise", value: (row) => row.materialise},
        {label: "Code", value: (row) => row.code},
      ]
    }));
}

function ledgerPairs(ledger) {
  return pairsOf({...ledger, first_problem: ledger.first_problem || "none"});
}

function runDetails(input) {
  const {report} = input;
  return el("div", {class: "card"}, el("h3", null, input.label),
    el("p", {class: "about"},
      `${input.name}: ${commandOf(report)}, schema ${report.schema_version}`),
    el("pre", {class: "command", tabindex: "0", "aria-label": "Command line"},
      (report.command_line ?? []).map(quoted).join(" ")),
    report.model && folded("Model", () => pairsTable("Model", pairsOf(report.model))),
    report.strategy && folded("Strategy", () => pairsTable("Strategy", pairsOf(report.strategy))),
    report.plan && folded("Plan", () => planTable(report)),
    folded("Configuration", () => pairsTable("Configuration", pairsOf(report.configuration))),
    folded("Environment", () => pairsTable("Environment", pairsOf(report.environment))),
    report.memory?.ledger &&
      folded("Do the books agree?", () => pairsTable("Ledger", ledgerPairs(report.memory.ledger))));
}

// A word of a command line as a shell would take it.
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function detailsSection(inputs) {
  return section("details", inputs.length === 1 ? "The run" : "The runs", inputs.map(runDetails));
}
