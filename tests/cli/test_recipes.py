"""The papers' recipes: each is understood whole, and its model runs dry as it is."""

import json
import unittest

from support import ROOT, CommandTest, needs_programs

RECIPES = sorted((ROOT / "experiments/recipes").glob("*.json"))
SMALL = {  # by the beginning of a model's name: the same family in a size that trains in milliseconds
    "vit": "vit:patch=16,dim=16,depth=2,heads=2",
    "deit": "vit:patch=16,dim=16,depth=2,heads=2",
    "convnext": "convnext:depths=[1;1],dims=[8;16]",
    "resnet18": "resnet18:width=4,stem=small",
}


def options_of(recipe):
    return json.loads(recipe.read_text())["options"]


@needs_programs
class Recipes(CommandTest):
    def test_there_are_the_papers_models(self):
        models = {options_of(recipe)["model"].split(":")[0] for recipe in RECIPES}
        self.assertLessEqual({"vit_tiny_patch16_224", "vit_base_patch16_224", "convnext_tiny",
                              "convnext_base", "deit_tiny_patch16_224", "deit_small_patch16_224",
                              "deit_base_patch16_224", "resnet18"}, models)

    def test_each_model_runs_dry_as_it_is(self):
        for recipe in RECIPES:
            options = options_of(recipe)
            words = [word for name in ("model", "strategy", "optimizer", "precision", "augment",
                                       "ema") if name in options
                     for word in (f"--{name}", options[name])]
            with self.subTest(recipe.stem):
                done = self.succeed("sbp-profile", *words, "--batch", 2, "--device", "meta",
                                    "--json")
                self.assertTrue(json.loads(done.stdout)["memory"]["ledger"]["balanced"])

    def test_each_trains_a_small_model_to_its_end(self):
        for recipe in RECIPES:
            options = options_of(recipe)
            name, _, keys = options["model"].partition(":")
            model = SMALL[name.split("_")[0]]
            if "drop_path" in keys:
                model += f",{keys}"
            words = ["--config", recipe, "--model", model, "--batch", 2, "--accumulate", 1,
                     "--data", "synthetic:samples=2,image=32,classes=10", "--threads", 1,
                     "--evaluate-every", 0, "--quiet", "--json"]
            if "init" in options:
                weights = self.folder / recipe.stem
                self.succeed("sbp-train", "--model", model, *words[8:10], "--batch", 2, "--threads",
                             1, "--checkpoint", weights, "--quiet")
                words += ["--init", weights]
            with self.subTest(recipe.stem):
                report = json.loads(self.succeed("sbp-train", *words).stdout)
                self.assertEqual(report["steps"], options["epochs"])
                configuration = report["configuration"]
                self.assertEqual(configuration["schedule"].split(":")[0],
                                 options["schedule"].split(":")[0])
                self.assertEqual(configuration["precision"].split(":")[0],
                                 options.get("precision", "fp32"))
                self.assertEqual(report["final_averaged_evaluation"] is not None, "ema" in options)


ABLATIONS = sorted((ROOT / "experiments/recipes/ablations").glob("*.json"))


@needs_programs
class Ablations(CommandTest):
    def test_each_is_planned_whole_beside_what_its_paper_concluded(self):
        page = (ROOT / "experiments/recipes/README.md").read_text()
        self.assertGreaterEqual(len(ABLATIONS), 6)
        for recipe in ABLATIONS:
            with self.subTest(recipe.stem):
                done = self.succeed("sbp-sweep", "--recipe", recipe, "--list", "--no-trial",
                                    "--json")
                plan = self.assert_valid(done.stdout, "sweep")
                self.assertGreater(len(plan["paper"]), 20)
                self.assertEqual(plan["warnings"], [])
                self.assertIn(f"| `{recipe.stem}` |", page)
                self.assertIn(f"| {len(plan['points'])} |\n", page)


if __name__ == "__main__":
    unittest.main()
