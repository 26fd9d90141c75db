"""The page of sbp-report --html in a real browser."""

import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import browser
import documents

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SBP_BIN_DIR", ROOT / "build/release/bin"))
REPORT = BIN / "sbp-report"

shared = {}


def setUpModule():
    if not REPORT.is_file():
        raise unittest.SkipTest(f"sbp-report not built in '{BIN}'")
    if browser.program() is None:
        raise unittest.SkipTest(f"no browser: none of {', '.join(browser.NAMES)} is installed")
    shared["browser"] = browser.Browser()
    shared["folder"] = pathlib.Path(tempfile.mkdtemp(prefix="sbp_page_"))


def tearDownModule():
    if "browser" in shared:
        shared["browser"].close()
        shutil.rmtree(shared["folder"])


class PageTest(unittest.TestCase):
    def setUp(self):
        self.browser = shared["browser"]
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=shared["folder"]))
        self.browser.size(1280, 900)
        self.browser.media()

    def page(self, *reports, names=None):
        """The page of reports, written to disk."""
        files = []
        for i, report in enumerate(reports):
            file = self.folder / (names[i] if names else f"{report['kind']}{i}.json")
            file.write_text(json.dumps(report))
            files.append(file)
        return self.page_of(files)

    def page_of(self, files):
        page = self.folder / "page.html"
        done = subprocess.run([str(REPORT), "--html", str(page), "--force", *map(str, files)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        return page

    def open(self, *reports, **options):
        page = self.page(*reports, **options)
        self.browser.open(page)
        self.run("window.readTable = " + READ_TABLE)
        return page

    def run(self, *arguments):
        # unittest's own, and short for what the page answers.
        if len(arguments) == 1 and isinstance(arguments[0], str):
            return self.browser.run(arguments[0])
        return super().run(*arguments)

    def table(self, caption):
        """All rows of the table that is called so: figures as numbers, other cells as texts."""
        return self.run(f"readTable({json.dumps(caption)})")

    def open_tables(self):
        self.run("document.querySelectorAll('.table-button[aria-expanded=false]')"
                 ".forEach((button) => button.click())")

    def open_details(self):
        self.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        self.run("new Promise((done) => setTimeout(done, 50))")

    def assert_quiet(self):
        self.browser.run("0")
        self.assertEqual(self.browser.messages, [])
        others = [url for url in self.browser.requests if not url.startswith("file:")]
        self.assertEqual(others, [])
        self.assertEqual(len(self.browser.requests), 1, self.browser.requests)
        self.assertEqual(self.run("performance.getEntriesByType('resource').length"), 0)
        self.assertNotIn("Page.javascriptDialogOpening", self.browser.events)


# Reads a table to its last page. A cell with <data> answers its exact value.
READ_TABLE = """(caption) => {
  const table = [...document.querySelectorAll('table')].find((one) =>
    one.caption && one.caption.textContent === caption);
  if (!table) return null;
  const whole = table.closest('.data-table') ?? table;
  const rows = [];
  const cell = (one) => {
    const data = one.querySelector('data');
    return data ? Number(data.value) : one.textContent;
  };
  const first = whole.querySelector('[data-page=first]');
  if (first && !first.disabled) first.click();
  for (;;) {
    for (const row of table.tBodies[0].rows) rows.push([...row.cells].map(cell));
    const next = whole.querySelector('[data-page=next]');
    if (!next || next.disabled) return rows;
    next.click();
  }
}"""

ALL = {
    "profile": lambda: [documents.profile()],
    "profile on meta": lambda: [documents.profile(time=False)],
    "profiles": lambda: [documents.profile(), documents.profile(layers=12), documents.profile()],
    "train": lambda: [documents.training()],
    "trains": lambda: [documents.training(), documents.training(epochs=5)],
    "correlate": lambda: [documents.correlate()],
    "sweep": lambda: [documents.sweep()],
    "sweep of one": lambda: [documents.sweep(keeps=1, masks=(), seeds=1)],
    "all": lambda: [documents.profile(), documents.training(), documents.sweep()],
}


class Quiet(PageTest):
    def test_no_messages_no_requests(self):
        for name, make in ALL.items():
            with self.subTest(name):
                self.open(*make())
                self.open_tables()
                self.open_details()
                self.assert_quiet()

    def test_the_policy_forbids_what_is_not_the_page_s_own(self):
        self.open(documents.profile())
        self.assertEqual(self.run("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"),
                         "refused")
        self.assertEqual(self.run(
            "try { document.body.innerHTML = '<b>x</b>'; 'taken' } catch { 'refused' }"), "refused")
        self.run("const one = document.createElement('img'); one.src = 'http://127.0.0.1:9/x.png';"
                 "document.body.append(one)")
        self.assertEqual(self.run("try { document.body.setAttribute('onclick', 'window.ran = 1');"
                                  "'taken' } catch { 'refused' }"), "refused")
        self.run("const two = document.createElement('script'); two.append('window.ran = 1');"
                 "try { document.body.append(two) } catch {}")
        self.assertIsNone(self.run("window.ran"))
        refused = [text for text in self.browser.messages if "Content Security Policy" in text]
        self.assertGreaterEqual(len(refused), 3)


class Figures(PageTest):
    def test_headline_figures_of_a_profile(self):
        report = documents.profile()
        self.open(report)
        tiles = self.run("Object.fromEntries([...document.querySelectorAll('.tile')].map((one) =>"
                         "[one.querySelector('dt').textContent,"
                         " Number(one.querySelector('data').value)]))")
        memory = report["memory"]
        self.assertEqual(tiles, {
            "Peak": memory["peak_bytes"], "Saved for backward": memory["saved"]["distinct_bytes"],
            "Transient at the peak": memory["transient_peak_bytes"],
            "Indices and scales": memory["saved"]["index_bytes"],
            "Step time, median": 0.0525, "Samples per second": 152.375,
            "Effective keep ratio": 0.5})
        exact = self.run("document.querySelector('.tile .exact').textContent")
        self.assertEqual(exact, f"{memory['peak_bytes']:,} bytes")

    def test_what_is_unknown_says_why(self):
        self.open(documents.profile(time=False, device="meta"))
        said = self.run("[...document.querySelectorAll('.tile .unknown')].map((one) => one.textContent)")
        self.assertEqual(said, ["unknownthe meta device computes nothing"] * 2)

    def test_tables_of_a_profile_to_the_byte(self):
        report = documents.profile(layers=60)
        memory = report["memory"]
        self.open(report)
        self.open_tables()
        self.assertEqual(
            [(row[1], row[2], row[3], row[4]) for row in self.table("Live bytes by phase")],
            [(one["peak_bytes"], one["live_at_end_bytes"], one["allocated_bytes"],
              one["allocate_events"]) for one in memory["phases"]])
        self.assertEqual([(row[0], row[1]) for row in self.table("Points of the timeline")],
                         [(one["time_ns"], one["live_bytes"]) for one in memory["timeline"]])
        at_peak = {row[0]: row[1] for row in self.table("What lived at the peak")}
        self.assertEqual(at_peak.pop("total"), memory["peak_bytes"])
        self.assertEqual(at_peak, {name.replace("_", " "): value
                                   for name, value in memory["categories_at_peak"].items()})
        blocks = self.table("Who owned the peak, along the depth")
        self.assertEqual(sum(row[2] for row in blocks), memory["peak_bytes"])

    def test_layers_to_the_byte(self):
        report = documents.profile(layers=60)
        self.open(report)
        self.run("const rows = document.querySelector('#layers select'); rows.value = 'all';"
                 "rows.dispatchEvent(new Event('change'))")
        shown = {row[0]: row[3:] for row in self.table("Layers of profile0")}
        self.assertEqual(shown, {one["name"] or "outside every layer": [
            one["saved_distinct_bytes"], one["saved_marginal_bytes"], one["saved_logical_bytes"],
            one["own_peak_bytes"], one["saved_count"]] for one in report["memory"]["layers"]})

    def test_layers_compared(self):
        before, after = documents.profile(layers=30), documents.profile(layers=20)
        self.open(before, after, names=["before.json", "after.json"])
        rows = {row[0]: row[2:] for row in self.table("Saved, distinct by layer, compared")}
        bytes_of = [{one["name"]: one["saved_distinct_bytes"] for one in report["memory"]["layers"]}
                    for report in (before, after)]
        self.assertEqual(rows["blocks.3.mlp.fc2"][:2],
                         [bytes_of[0]["blocks.3.mlp.fc2"], bytes_of[1]["blocks.3.mlp.fc2"]])
        self.assertEqual(rows["blocks.5.attn.qkv"],
                         [bytes_of[0]["blocks.5.attn.qkv"], "–a", -bytes_of[0]["blocks.5.attn.qkv"]])

    def test_epochs_and_losses_of_training(self):
        report = documents.training()
        self.open(report)
        self.open_tables()
        self.assertEqual([row[:6] for row in self.table("Epochs")], [
            [one["epoch"], one["steps"], one["train_loss"], one["evaluation"]["loss"],
             one["evaluation"]["top1"], one["evaluation"]["top5"]] for one in report["epochs"]])
        self.assertEqual(self.table("Training loss"),
                         [[i + 1, loss] for i, loss in enumerate(report["step_losses"])])

    def test_gradients_during_training(self):
        report = documents.training()
        report["fidelity"] = documents.fidelity_points()
        self.open(report)
        self.open_tables()
        self.assertEqual(self.table("Gradient during training"), [
            [one["step"], one["cosine"], one["relative_error"], one["norm_ratio"],
             one["sign_agreement"], one["layer_cosine"]["mean"], one["layer_cosine"]["minimum"],
             "blocks.0.mlp.fc1"] for one in report["fidelity"]])

    def test_strategies_and_baselines(self):
        report = documents.correlate()
        self.open(report)
        columns = self.run("[...document.querySelectorAll('#fidelity thead th')].map((one) =>"
                           "one.textContent)")
        rows = {row[0]: dict(zip(columns, row)) for row in self.table("Strategies and baselines")}
        for one in report["fidelity"]["strategies"]:
            row = rows[one["name"]]
            self.assertEqual(
                [row["Cosine"], row["Relative error"], row["Norm ratio"], row["Equal signs"],
                 row["Worst layer's cosine"], row["Worst layer"], row["Saved distinct (bytes)"],
                 row["Peak (bytes)"], row["Keep, got"], row["Whole spec"]],
                [one["cosine"], one["relative_error"], one["norm_ratio"], one["sign_agreement"],
                 one["over_layers"]["cosine"]["minimum"], one["over_layers"]["cosine"]["minimum_layer"],
                 one["saved_distinct_bytes"], one["peak_bytes"], one["effective_keep_ratio"],
                 one["spec"]])
        self.assertEqual(rows["baseline: half the batch"]["Cosine"], 0.6)
        self.assertEqual(rows["baseline: another batch"]["Cosine"], 0.1)

    def test_fidelity_by_layer(self):
        report = documents.correlate()
        self.open(report)
        for key, words in (("cosine", "Cosine"), ("local_cosine", "Local cosine"),
                           ("norm_ratio", "Norm ratio")):
            with self.subTest(key):
                choose = ("[...document.querySelectorAll('#fidelity select')].find((one) =>"
                          "[...one.options].some(({value}) => value === 'local_cosine'))")
                self.run(f"{choose}.value = '{key}'; {choose}.dispatchEvent(new Event('change'))")
                self.open_tables()
                rows = self.table(f"Fidelity by layer: {words}")
                expected = [[one["name"]] + [
                    "–a" if strategy["layers"][i][key] is None else strategy["layers"][i][key]
                    for strategy in report["fidelity"]["strategies"]]
                    for i, one in enumerate(report["fidelity"]["strategies"][0]["layers"])
                    if one["kind"] != "block"]
                self.assertEqual([[row[0], *row[2:]] for row in rows], expected)
                cells = self.run("document.querySelectorAll('#fidelity .surface:has(.unknown-cell) rect,"
                                 "#fidelity .figure-tools ~ div .surface rect').length")
                self.assertGreater(cells, 0)

    def test_points_of_a_sweep(self):
        report = documents.sweep()
        self.open(report)
        rows = self.table("All points")
        self.assertEqual(len(rows), len(report["points"]))
        columns = self.run("[...document.querySelectorAll('#points thead th')].map((one) =>"
                           "one.textContent)")
        peak, cosine = columns.index("Peak (bytes)"), columns.index("Cosine")
        for row, point in zip(rows, report["points"]):
            self.assertEqual(row[0], point["id"])
            if point["status"] == "finished":
                self.assertEqual(row[peak], point["figures"]["peak_bytes"])
                self.assertEqual(row[cosine], point["figures"]["cosine"])
            else:
                self.assertEqual(row[columns.index("Why")], "exit status 1")
                self.assertIn("–", row[peak])

    def test_means_over_seeds_and_their_intervals(self):
        report = documents.sweep()
        self.open(report)
        self.open_tables()
        rows = self.table("Cosine along strategy.sbp.keep")
        groups = {}
        for point in report["points"]:
            if point["status"] == "finished":
                key = (point["axes"]["strategy.sbp.mask"], point["axes"]["strategy.sbp.keep"])
                groups.setdefault(key, []).append(point["figures"]["cosine"])
        self.assertEqual(len(rows), len(groups))
        quantile = {2: 12.706204736174698, 3: 4.3026527297494637}
        for row in rows:
            mask = row[0].split("mask=")[1] if "mask=" in row[0] else None
            values = groups[(mask, next(key[1] for key in groups if key[0] == mask and (
                key[1] is None or float(key[1]) == row[1])))]
            mean = sum(values) / len(values)
            spread = math.sqrt(sum((one - mean) ** 2 for one in values) / (len(values) - 1))
            half = quantile[len(values)] * spread / math.sqrt(len(values))
            self.assertAlmostEqual(row[2], mean, places=12)
            self.assertAlmostEqual(row[3], mean - half, places=9)
            self.assertAlmostEqual(row[4], mean + half, places=9)
            self.assertEqual(row[5], len(values))

    def test_the_front_is_what_nothing_beats(self):
        report = documents.sweep(keeps=20, masks=("grid", "random", "block"), seeds=1)
        self.open(report)
        self.open_tables()
        done = [one["figures"] for one in report["points"] if one["status"] == "finished"]
        points = [(one["saved_distinct_bytes"], one["cosine"]) for one in done]
        expected = sorted(one for one in points if not any(
            other != one and other[0] <= one[0] and other[1] >= one[1] for other in points))
        columns = self.run("[...document.querySelectorAll('#front thead th')].map((one) =>"
                           "one.textContent)")
        x, y = columns.index("Saved for backward (bytes)"), columns.index("Cosine")
        self.assertEqual([(row[x], row[y]) for row in self.table("Points of the Pareto front")],
                         expected)


class Texts(PageTest):
    """What is read, not only what is there."""

    def test_bytes_ratios_and_times_as_people_write_them(self):
        report = documents.profile()
        report["memory"]["peak_bytes"] = 358243144
        report["memory"]["transient_peak_bytes"] = 1023
        report["memory"]["saved"]["distinct_bytes"] = 1048525  # 1,023.95 KiB
        report["strategy"]["effective_keep_ratio"] = 0.999951
        self.open(report)
        self.assertEqual(self.run("[...document.querySelectorAll('.tile data')].map((one) =>"
                                  "one.textContent)"),
                         ["341.6 MiB", "1.0 MiB", "1023 B", "792 B", "52.5 ms", "152.38", "0.99995"])

    def test_no_figure_is_empty(self):
        for name, make in ALL.items():
            with self.subTest(name):
                self.open(*make())
                self.open_tables()
                self.open_details()
                self.assertEqual(self.run("[...document.querySelectorAll('data')].filter((one) =>"
                                          "!/\\d/.test(one.textContent)).length"), 0)
                self.assertIsNone(self.run(
                    "document.body.innerText.match(/undefined|NaN|\\[object|Infinity/)?.[0]"))


class Scripts(unittest.TestCase):
    def test_the_files_share_a_scope_and_so_every_name_is_there_once(self):
        names = []
        for file in sorted((ROOT / "reports/html").glob("*.js")):
            names += re.findall(r"^(?:function|class|const|let) (\w+)", file.read_text(), re.MULTILINE)
        self.assertGreater(len(names), 100)
        self.assertEqual({name for name in names if names.count(name) > 1}, set())

    def test_no_markup_from_strings(self):
        for file in sorted((ROOT / "reports/html").glob("*.js")):
            found = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|"
                               r"fetch\(|XMLHttpRequest|import\(|new Function", file.read_text())
            self.assertEqual(found, [], file.name)


class Hostile(PageTest):
    def test_names_are_text_everywhere(self):
        report = documents.profile(names=(documents.SCRIPT, documents.IMAGE))
        report["warnings"] = [documents.SCRIPT, documents.IMAGE]
        report["memory"]["peak_layer"] = documents.IMAGE
        report["strategy"]["spec"] = documents.SCRIPT
        report["model"]["spec"] = documents.IMAGE
        report["configuration"][documents.IMAGE] = documents.SCRIPT
        sweep = documents.sweep()
        sweep["about"] = documents.IMAGE
        for point in sweep["points"]:
            point["axes"]["strategy"] = documents.SCRIPT
        sweep["axes"][0]["values"] = [documents.SCRIPT]
        self.open(report, sweep, report, names=["<img src=x onerror=alert(3)>.json", "b.json", "c.json"])
        self.open_tables()
        self.open_details()
        self.run("document.querySelectorAll('.surface').forEach((one) => { one.focus();"
                 "one.dispatchEvent(new KeyboardEvent('keydown', {key: 'End'})); })")
        self.assertEqual(self.run("document.querySelectorAll('script').length"), 2)
        self.assertEqual(self.run("document.querySelectorAll('img, iframe, object').length"), 0)
        self.assertEqual(self.run(
            "[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"
            ".filter((name) => name.startsWith('on')).length"), 0)
        self.assertIn(documents.SCRIPT, self.run("document.getElementById('main').textContent"))
        self.assert_quiet()

    def test_search_finds_them(self):
        self.open(documents.profile(names=(documents.SCRIPT, documents.IMAGE)))
        for name in (documents.SCRIPT, documents.IMAGE):
            with self.subTest(name):
                self.run("document.querySelector('#layers input').select()")
                self.browser.write(name)
                self.assertEqual([row[0] for row in self.table("Layers of profile0")], [name])
        self.assert_quiet()


class Keyboard(PageTest):
    def focus(self):
        return self.run("(({tagName, className, id, textContent}) => [tagName, String(className), id,"
                        "textContent.slice(0, 40)])(document.activeElement)")

    def test_skip_link_comes_first(self):
        self.open(documents.profile())
        self.browser.press("Tab")
        self.assertEqual(self.focus()[3], "Skip to the figures")
        self.browser.press("Enter")
        self.assertEqual(self.focus()[2], "main")

    def test_every_control_is_reached_and_seen(self):
        self.open(documents.profile())
        expected = self.run("[...document.querySelectorAll('a[href], button:not([disabled]), select,"
                            "input, summary, [tabindex=\"0\"]')].length")
        seen = set()
        for _ in range(expected + 2):
            self.browser.press("Tab")
            key, width = self.run("((one) => [[...document.querySelectorAll('*')].indexOf(one),"
                                  "parseFloat(getComputedStyle(one).outlineWidth)])(document.activeElement)")
            if key in seen:
                break
            seen.add(key)
            self.assertGreaterEqual(width, 2, self.focus())
        self.assertGreaterEqual(len(seen), expected)

    def test_a_curve_is_read_with_the_arrows(self):
        report = documents.profile(points=50)
        self.open(report)
        self.run("document.querySelector('#timeline .surface').focus()")
        said = "document.querySelector('#timeline [role=status]').textContent"
        for key, place in (("Home", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
            self.browser.press(key)
            live = report["memory"]["timeline"][place]["live_bytes"]
            self.assertIn(f" {live:,} bytes", self.run(said))
        self.browser.press("End")
        self.assertIn("optimizer step", self.run(said))
        shown = "document.querySelector('#timeline .tip').hidden"
        self.assertFalse(self.run(shown))
        self.browser.press("Escape")
        self.assertTrue(self.run(shown))

    def test_tables_open_sort_and_search(self):
        self.open(documents.profile(layers=60))
        self.run("document.querySelector('#peak .table-button').focus()")
        self.browser.press("Enter")
        self.assertEqual(self.run("document.activeElement.getAttribute('aria-expanded')"), "true")
        self.assertIsNotNone(self.table("What lived at the peak"))
        heading = ("[...document.querySelectorAll('#layers .sort')].find((one) =>"
                   "one.textContent.startsWith('Saved, distinct'))")
        self.run(f"{heading}.focus()")
        self.browser.press("Enter")
        self.assertTrue(self.run(f"document.activeElement === {heading}"))
        rows = [row[3] for row in self.table("Layers of profile0")]
        self.assertEqual(rows, sorted(rows, reverse=True))
        self.assertEqual(self.run("document.querySelector('#layers [aria-sort]').getAttribute('aria-sort')"),
                         "descending")
        self.run(f"{heading}.focus()")
        self.browser.press("Enter")
        rows = [row[3] for row in self.table("Layers of profile0")]
        self.assertEqual(rows, sorted(rows))
        self.run("document.querySelector('#layers input').focus()")
        self.browser.write("3.mlp")
        self.assertEqual({row[0] for row in self.table("Layers of profile0")},
                         {"blocks.3.mlp.fc1", "blocks.3.mlp.fc2"})
        self.browser.press("Escape")
        self.assertEqual(self.run("document.querySelector('#layers input').value"), "")
        self.assertGreater(len(self.table("Layers of profile0")), 40)


# Texts whose colour has less contrast with what is behind them than asked.
CONTRAST = """(() => {
  const parts = (colour) => (colour.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const linear = (value) => (value <= 10 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || one.closest('script, noscript, .in-bar, .in-cell, .skip, [disabled]')) continue;
    if (one.namespaceURI.endsWith('svg') && one.tagName !== 'text') continue;
    const style = getComputedStyle(one);
    const [a, b] = [light(parts(one.tagName === 'text' ? style.fill : style.color)), light(behind(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const least = one.classList.contains('point-name') ? 3 : 4.5;
    if (ratio < least) found.add(`${one.tagName}.${one.getAttribute('class')} ${ratio.toFixed(2)}`);
  }
  return [...found];
})()"""


class Looks(PageTest):
    def test_contrast_in_light_and_dark(self):
        for colours in ("light", "dark"):
            self.browser.media(prefers_color_scheme=colours)
            for name, make in ALL.items():
                with self.subTest(f"{colours}: {name}"):
                    self.open(*make())
                    self.open_tables()
                    self.open_details()
                    self.assertEqual(self.run(CONTRAST), [])

    def test_dark_as_the_system_or_the_button_says(self):
        self.browser.media(prefers_color_scheme="dark")
        self.open(documents.profile())
        colour = "getComputedStyle(document.body).backgroundColor"
        dark = self.run(colour)
        self.run("document.querySelector('.theme').click()")
        light = self.run(colour)
        self.assertNotEqual(dark, light)
        self.browser.media(prefers_color_scheme="light")
        self.assertEqual(self.run(colour), light)
        self.run("document.querySelector('.theme').click()")
        self.assertEqual(self.run(colour), dark)

    def test_narrow_screens_do_not_scroll_sideways(self):
        self.browser.size(360, 800)
        for name, make in ALL.items():
            with self.subTest(name):
                self.open(*make())
                self.open_tables()
                self.open_details()
                self.assertLessEqual(self.run("document.documentElement.scrollWidth"), 360)

    def test_print_shows_tables_and_no_controls(self):
        self.browser.media(prefers_color_scheme="dark")
        self.open(documents.profile(), documents.training())
        self.run("window.addEventListener('beforeprint', () => { window.opened ="
                 "document.querySelectorAll('.figure-table:not([hidden])').length; })")
        self.browser.print_pdf(self.folder / "page.pdf")
        self.assertEqual((self.folder / "page.pdf").read_bytes()[:5], b"%PDF-")
        figures = self.run("document.querySelectorAll('figure').length")
        self.assertEqual(self.run("window.opened"), figures)
        self.assertEqual(self.run("document.querySelectorAll('.figure-table:not([hidden])').length"), 0)
        self.browser.media("print", prefers_color_scheme="dark")
        self.assertEqual(self.run("[...document.querySelectorAll('button, select, input, nav')].filter("
                                  "(one) => one.checkVisibility() && !one.closest('th')).length"), 0)
        self.assertEqual(self.run("getComputedStyle(document.body).color"), "rgb(23, 27, 33)")

    def test_less_motion(self):
        self.open(documents.profile())
        motion = "getComputedStyle(document.documentElement).scrollBehavior"
        self.assertEqual(self.run(motion), "smooth")
        self.browser.media(prefers_reduced_motion="reduce")
        self.assertEqual(self.run(motion), "auto")


class Structure(PageTest):
    def test_landmarks_headings_and_names(self):
        for name, make in ALL.items():
            with self.subTest(name):
                self.open(*make())
                self.open_tables()
                self.open_details()
                for landmark in ("header", "nav[aria-label]", "main"):
                    self.assertEqual(self.run(f"document.querySelectorAll('{landmark}').length"), 1)
                levels = self.run("[...document.querySelectorAll('h1, h2, h3, h4')].map((one) =>"
                                  "Number(one.tagName[1]))")
                self.assertEqual(levels.count(1), 1)
                self.assertTrue(all(b <= a + 1 for a, b in zip(levels, levels[1:])), levels)
                self.assertEqual(self.run(
                    "[...document.querySelectorAll('[id]')].map((one) => one.id)"
                    ".filter((id, i, all) => all.indexOf(id) !== i)"), [])
                self.assertEqual(self.run(
                    "[...document.querySelectorAll('.plot svg')].filter((one) =>"
                    "one.getAttribute('role') !== 'img' || !one.querySelector('title').textContent ||"
                    "!one.querySelector('desc').textContent).length"), 0)
                self.assertEqual(self.run(
                    "[...document.querySelectorAll('button, select, input')].filter((one) =>"
                    "!(one.textContent.trim() && one.tagName === 'BUTTON') &&"
                    "!one.labels?.length && !one.ariaLabel).length"), 0)
                self.assertEqual(self.run("document.querySelectorAll('table:not(:has(caption))').length"), 0)
                self.assertEqual(self.run("document.querySelectorAll('figure .plot:empty').length"), 0)

    def test_series_differ_in_more_than_colour(self):
        self.open(documents.sweep(masks=("a", "b", "c", "d")))
        looks = self.run("[...document.querySelectorAll('.line-button svg')].map((one) =>"
                         "[...one.querySelectorAll('path')].map((path) => path.getAttribute('d') +"
                         "path.getAttribute('stroke-dasharray')).join())")
        self.assertEqual(len(looks), 5)
        self.assertEqual(len(set(looks)), 5)

    def test_what_a_report_lacks_leaves_no_frame(self):
        report = documents.training()
        report |= {"memory": None, "memory_reason": "no step was traced", "step_losses": [],
                   "epochs": []}
        self.open(report)
        self.assertEqual(self.run("document.querySelectorAll('figure').length"), 0)
        self.assertEqual(self.run("[...document.querySelectorAll('h2')].map((one) => one.textContent)"),
                         ["Summary", "The run"])
        self.assertIn("no step was traced", self.run("document.body.textContent"))


class Large(PageTest):
    """Sizes are promised; times are printed and not judged."""

    LARGEST = 10_000_000

    def measure(self, name, page):
        size = page.stat().st_size
        ready = self.browser.open(page)
        print(f"{name}: {size / 1e6:.2f} MB, ready after {ready} ms", file=sys.stderr)
        self.assertLess(size, self.LARGEST)
        self.run("window.readTable = " + READ_TABLE)

    def test_two_thousand_layers(self):
        report = documents.profile(layers=2000, points=2000)
        self.measure("2,000 layers", self.page(report))
        self.run("document.querySelector('#layers input').focus()")
        self.browser.write("blocks.399.")
        self.assertEqual(len(self.table("Layers of profile0")), 4)
        self.assert_quiet()

    def test_five_thousand_points(self):
        folder = self.folder / "sweep"
        (folder / "points").mkdir(parents=True)
        report = documents.sweep(keeps=100, masks=[f"mask{i}" for i in range(10)], seeds=5)
        self.assertGreater(len(report["points"]), 5000)
        (folder / "sweep.json").write_text(json.dumps(report))
        point = self.folder / "point.json"
        point.write_text(json.dumps(documents.profile(layers=100)))
        for one in report["points"]:
            if one["status"] == "finished":
                os.link(point, folder / one["file"])
        self.measure("5,005 points", self.page_of([folder]))
        self.assertEqual(self.run("document.querySelector('.tile data').value"),
                         str(len(report["points"])))
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
