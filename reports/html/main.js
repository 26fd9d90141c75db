// The page from top to bottom.

const KIND_WORDS = {
  profile: "profile",
  train: "training run",
  correlate: "gradient study",
  sweep: "sweep",
  prediction: "prediction"
};

// Of most kinds the kind's own.
function commandOf({kind}) {
  return kind === "prediction" ? "sbp-profile --predict" : `sbp-${kind}`;
}

function modelName(report) {
  const spec = report.model?.spec ?? report.configuration?.model ?? "";
  return spec.split(":")[0];
}

function strategyName(report) {
  return report.strategy ? shortSpec(report.strategy.spec) : "";
}

// "batch 8, fp32, cpu": what is worth knowing at a glance.
function circumstances({configuration, prediction}) {
  const card = prediction ? {device: cardOf(prediction)} : {};
  const known = {...configuration, ...card};
  return [["batch", (value) => `batch ${value}`], ["precision", String], ["device", String]]
    .filter(([key]) => known[key] !== undefined && known[key] !== null)
    .map(([key, text]) => text(known[key]));
}

function title(inputs) {
  const models = [...new Set(inputs.map(({report}) => modelName(report)).filter(Boolean))];
  const model = models.length === 1 ? models[0] : models.join(", ");
  if (inputs.length === 1) {
    const {report} = inputs[0];
    if (report.kind === "sweep") {
      const axes = usedAxes(report).filter(({values}) => values.length > 1).map(({short}) => short);
      return `${[model, "sweep"].filter(Boolean).join(": ")} of ${axes.join(", ") || "one point"}`;
    }
    if (report.kind === "correlate") {
      const count = plural(report.fidelity.strategies.length, "strategy", "strategies");
      return [model, `gradients of ${count}`].filter(Boolean).join(": ");
    }
    const strategy = strategyName(report);
    return [model, strategy].filter(Boolean).join(", ") || inputs[0].label;
  }
  const kinds = new Set(inputs.map(({report}) => report.kind));
  const what = kinds.size === 1 ? plural(inputs.length, KIND_WORDS[[...kinds][0]],
                                    `${KIND_WORDS[[...kinds][0]]}s`.replace("studys", "studies")) :
                                  plural(inputs.length, "report");
  return model ? `${model}: ${what}` : what;
}

function pageHead(inputs) {
  const {report} = inputs[0];
  const lead = inputs.length === 1 ?
    [commandOf(report), inputs[0].label, ...circumstances(report)] :
    [inputs.map((input) => input.label).join(", ")];
  document.getElementById("top").replaceChildren(
    el("div", {class: "title"}, el("h1", null, title(inputs)),
      el("p", {class: "lead"}, lead.filter(Boolean).join(" · "))),
    themeButton());
}

function summarySection(inputs) {
  const kinds = new Map();
  for (const input of inputs) {
    if (!kinds.has(input.report.kind)) kinds.set(input.report.kind, []);
    kinds.get(input.report.kind).push(input);
  }
  const parts = [...kinds].map(([kind, group]) => {
    if (headlines(kind).length === 0) return null;
    if (group.length > 1) return comparisonTable(group);
    return el("dl", {class: "tiles"}, headlines(kind).map((one) => tile(one, group[0].report)));
  });
  const content = [warningsBox(inputs), ...parts].filter(Boolean);
  return content.length > 0 && section("summary", "Summary", content);
}

function memorySections(inputs) {
  const profiles = inputs.filter(({report}) => report.memory?.timeline);
  const measured = inputs.filter(({report}) => report.memory?.categories_at_peak);
  const layered = inputs.filter(({report}) => report.memory?.layers);
  const timeline = timelineFigure(profiles);
  const peak =
    [measured.length > 0 && compositionFigure(measured), blocksFigure(layered)].filter(Boolean);
  return [
    timeline && section("timeline", "Memory over time", timeline),
    peak.length > 0 && section("peak", "At the peak", peak), layersSection(layered)
  ];
}

function contents(sections) {
  const links =
    sections.map((one) => el("a", {href: `#${one.id}`}, one.querySelector("h2").textContent));
  const seen = new IntersectionObserver((entries) => {
    for (const {target, isIntersecting} of entries) {
      if (!isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links[sections.indexOf(target)].setAttribute("aria-current", "true");
    }
  }, {rootMargin: "-10% 0px -80% 0px"});
  sections.forEach((one) => seen.observe(one));
  return el("ul", null, links.map((link) => el("li", null, link)));
}

// What a report is called: its file without folder and ending, and the folder's name where two
// would be called the same.
function withLabels(inputs) {
  const short = (name) => name.replace(/^.*\/(?=[^/])/, "").replace(/\.json$/, "");
  const count = new Map();
  for (const {name} of inputs) count.set(short(name), (count.get(short(name)) ?? 0) + 1);
  return inputs.map(
    (input) =>
      ({...input, label: count.get(short(input.name)) > 1 ? input.name : short(input.name)}));
}

function buildPage() {
  const inputs = withLabels(readData().inputs).map(withPredictedLayers);
  pageHead(inputs);
  const sections = [
    summarySection(inputs), trainingSection(inputs), ...fidelitySections(inputs),
    ...sweepSections(inputs), predictionSection(inputs), ...memorySections(inputs),
    detailsSection(inputs)
  ].flat().filter(Boolean);
  document.getElementById("main").replaceChildren(...sections);
  document.getElementById("contents").replaceChildren(contents(sections));
  document.body.append(hatchPattern());
  redrawAll();
  window.addEventListener("beforeprint", () => {
    openForPrint();
    redrawAll(PRINT_WIDTH);
  });
  window.addEventListener("afterprint", () => {
    closeAfterPrint();
    redrawAll();
  });
  performance.mark("data-ready");
  document.documentElement.setAttribute("data-ready", performance.now().toFixed(0));
}

buildPage();
