import unittest

from support import CommandTest, PROGRAMS, needs_programs

COMMON = ["--model", "--data", "--strategy", "--batch", "--seed", "--threads", "--device",
          "--precision", "--optimizer", "--accumulate", "--clip-norm", "--ema", "--output", "--json", "--quiet", "--force"]
OWN = {
    "sbp-profile": COMMON + ["--predict", "--allocator", "--loop", "--predict-steps",
                             "--largest-batch", "--warmup", "--time-steps", "--print-plan", "--top", "--zero-grad",
                             "--list"],
    "sbp-train": COMMON + ["--steps", "--epochs", "--schedule", "--warmup-steps",
                           "--warmup-epochs", "--warmup-start",
                           "--minimum-learning-rate", "--label-smoothing", "--evaluate-every",
                           "--evaluation-samples", "--fidelity-every", "--flip", "--crop-padding", "--augment",
                           "--workers", "--eval-crop-ratio", "--list"],
    "sbp-correlate": COMMON + ["--batches", "--masks", "--no-local", "--at", "--init",
                               "--checkpoint", "--top", "--list"],
    "sbp-report": ["--diff", "--top"],
    "sbp-sweep": ["--command", "--axis", "--recipe", "--equal-peak", "--jobs", "--engine",
                  "--retry-failed", "--list", "--no-trial", "--model", "--epochs", "--init"],
}
NAMES = {
    "models": ["vit ", "mlp ", "vit_tiny_patch16_224", "vit_large_patch16_224",
               "deit_base_patch16_224", "patch=", "heads=", "hidden=",
               "convnext_tiny", "own|torchvision", "resnet18 ", "resnet50 ", "resnet152 ", "stem=",
               "vgg16 ", "vgg19 ", "mobilenet_v2 ", "mobilenet_v3_small ", "mobilenet_v3_large ",
               "mnasnet1_0 ", "regnet_x_400mf ", "regnet_y_400mf "],
    "data": ["synthetic ", "fashion_mnist ", "cifar10 ", "cifar100 ", "folder ", "path=",
             "fail|skip"],
    "strategies": ["full ", "sbp ", "keep=", "grid|exact|random", "kept|all"],
    "precisions": ["fp32", "bf16 ", "fp16 ", "cuda|cpu"],
    "optimizers": ["sgd ", "adamw ", "adam ", "rmsprop ", "adagrad ", "lr=", "momentum="],
    "schedules": ["cosine ", "step ", "constant ", "every=", "at=", "factor=", "minimum="],
    "gpus": ["a100 ", "h100 ", "rtx3060 ", "rtx4060 ", "memory="],
    "augmentations": ["crop ", "randaugment ", "scale=", "alpha=", "pixel|const"],
}


@needs_programs
class Help(CommandTest):
    def test_every_option_is_in_the_help(self):
        for program in PROGRAMS:
            text = self.succeed(program, "--help").stdout
            for option in OWN[program] + ["--help", "--version", "Examples:"]:
                with self.subTest(program=program, option=option):
                    self.assertIn(option, text)
            self.assertEqual(self.succeed(program, "-h").stdout, text)

    def test_the_examples_are_understood(self):
        # Everything but the run itself: --list is answered after the words were read.
        for program in ["sbp-train", "sbp-profile", "sbp-correlate"]:
            text = self.succeed(program, "--help").stdout
            examples = text.split("Examples:\n")[1].replace("\\\n", " ").splitlines()
            self.assertGreaterEqual(len(examples), 3)
            for example in examples:
                words = example.split()
                self.assertEqual(words[0], program)
                if "--list" not in words:
                    words += ["--list", "models"]
                    words = [word for word in words if word != "--print-plan"]
                with self.subTest(example=example):
                    self.succeed(program, *words[1:])

    def test_version(self):
        for program in PROGRAMS:
            self.assertRegex(self.succeed(program, "--version").stdout,
                             rf"^{program} \d+\.\d+\.\d+\n$")

    def test_list_has_every_name_and_key(self):
        for program in ["sbp-train", "sbp-profile", "sbp-correlate"]:
            for topic, words in NAMES.items():
                text = self.succeed(program, "--list", topic).stdout
                for word in words:
                    with self.subTest(program=program, topic=topic, word=word):
                        self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
