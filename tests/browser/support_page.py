"""What the tests of the page share: reports to a page, the page in a browser."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import browser
import documents

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SBP_BIN_DIR", ROOT / "build/release/bin"))
REPORT = BIN / "sbp-report"

shared = {}


def start_browser():
    """For setUpModule."""
    if not REPORT.is_file():
        raise unittest.SkipTest(f"sbp-report not built in '{BIN}'")
    if browser.program() is None:
        raise unittest.SkipTest(f"no browser: none of {', '.join(browser.NAMES)} is installed")
    shared["browser"] = browser.Browser()
    shared["folder"] = pathlib.Path(tempfile.mkdtemp(prefix="sbp_page_"))


def stop_browser():
    """For tearDownModule."""
    if "browser" in shared:
        shared.pop("browser").close()
        shutil.rmtree(shared.pop("folder"))


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
    "prediction": lambda: [documents.prediction()],
    "predictions": lambda: [documents.prediction(), documents.prediction(layers=12, fits=False),
                            documents.prediction(runs=0)],
    "prediction and profile": lambda: [documents.prediction(), documents.profile()],
    "train": lambda: [documents.training()],
    "trains": lambda: [documents.training(), documents.training(epochs=5)],
    "correlate": lambda: [documents.correlate()],
    "sweep": lambda: [documents.sweep()],
    "sweep of one": lambda: [documents.sweep(keeps=1, masks=(), seeds=1)],
    "all": lambda: [documents.profile(), documents.training(), documents.sweep()],
}
