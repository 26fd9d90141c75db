"""The page as a whole: no network, hostile names, size."""

import json
import os
import re
import sys
import unittest

import documents
from support_page import ALL, READ_TABLE, ROOT, PageTest, start_browser, stop_browser

setUpModule, tearDownModule = start_browser, stop_browser


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
        self.assertEqual(self.run("fetch('http://127.0.0.1:9/')"
                                  ".then(() => 'sent', () => 'refused')"), "refused")
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


class Scripts(unittest.TestCase):
    def test_the_files_share_a_scope_and_so_every_name_is_there_once(self):
        names = []
        for file in sorted((ROOT / "reports/html").glob("*.js")):
            names += re.findall(r"^(?:function|class|const|let) (\w+)", file.read_text(),
                                re.MULTILINE)
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
        predicted = documents.prediction(names=(documents.SCRIPT, documents.IMAGE), fits=False,
                                         device=documents.IMAGE)
        predicted["prediction"]["overheads"]["cublas_workspace"] -= 7
        predicted["prediction"]["overheads"][documents.SCRIPT] = 7
        sweep = documents.sweep()
        sweep["about"] = documents.IMAGE
        for point in sweep["points"]:
            point["axes"]["strategy"] = documents.SCRIPT
        sweep["axes"][0]["values"] = [documents.SCRIPT]
        self.open(report, sweep, report, predicted,
                  names=["<img src=x onerror=alert(3)>.json", "b.json", "c.json", "d.json"])
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
