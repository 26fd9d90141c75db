"""The page in use: keyboard, colours, print, narrow screens, structure."""

import unittest

import documents
from support_page import ALL, PageTest, start_browser, stop_browser

setUpModule, tearDownModule = start_browser, stop_browser


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
    const ink = parts(one.tagName === 'text' ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const least = one.classList.contains('point-name') ? 3 : 4.5;
    if (ratio < least) found.add(`${one.tagName}.${one.getAttribute('class')} ${ratio.toFixed(2)}`);
  }
  return [...found];
})()"""


class Keyboard(PageTest):
    def focus(self):
        return self.run("(({tagName, className, id, textContent}) => [tagName, String(className),"
                        "id, textContent.slice(0, 40)])(document.activeElement)")

    def test_skip_link_comes_first(self):
        self.open(documents.profile())
        self.browser.press("Tab")
        self.assertEqual(self.focus()[3], "Skip to the figures")
        self.browser.press("Enter")
        self.assertEqual(self.focus()[2], "main")

    def test_every_control_is_reached_and_seen(self):
        self.open(documents.profile())
        expected = self.run("document.querySelectorAll('a[href], button:not([disabled]), select,"
                            "input, summary, [tabindex=\"0\"]').length")
        seen = set()
        for _ in range(expected + 2):
            self.browser.press("Tab")
            key, width = self.run(
                "((one) => [[...document.querySelectorAll('*')].indexOf(one),"
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
        self.assertEqual(self.run("document.querySelector('#layers [aria-sort]').ariaSort"),
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
        opened = "document.querySelectorAll('.figure-table:not([hidden])').length"
        self.assertEqual(self.run(opened), 0)
        self.browser.media("print", prefers_color_scheme="dark")
        controls = ("[...document.querySelectorAll('button, select, input, nav')].filter((one) =>"
                    "one.checkVisibility() && !one.closest('th')).length")
        self.assertEqual(self.run(controls), 0)
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
                    "one.getAttribute('role') !== 'img' || !one.querySelector('title').textContent"
                    "|| !one.querySelector('desc').textContent).length"), 0)
                self.assertEqual(self.run(
                    "[...document.querySelectorAll('button, select, input')].filter((one) =>"
                    "!(one.textContent.trim() && one.tagName === 'BUTTON') &&"
                    "!one.labels?.length && !one.ariaLabel).length"), 0)
                for missing in ("table:not(:has(caption))", "figure .plot:empty"):
                    self.assertEqual(
                        self.run(f"document.querySelectorAll('{missing}').length"), 0)

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
        headings = "[...document.querySelectorAll('h2')].map((one) => one.textContent)"
        self.assertEqual(self.run(headings), ["Summary", "The run"])
        self.assertIn("no step was traced", self.run("document.body.textContent"))


if __name__ == "__main__":
    unittest.main()
