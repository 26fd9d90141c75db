import os
import unittest

from support import CommandTest, TINY, needs_programs

USAGE = [
    # words, what the sentence must say
    (["--batch", "0"], ["--batch", "'0'", "from 1 to 1000000"]),
    (["--batch", "many"], ["--batch", "'many'"]),
    (["--batch"], ["--batch", "needs a value"]),
    (["--strategy", ""], ["--strategy", "''", "empty"]),
    (["--bacth", "4"], ["'--bacth'", "did you mean '--batch'?"]),
    (["stray"], ["'stray'"]),
    (["--model", "vti"], ["'vti'", "did you mean 'vit'?", "mlp"]),
    (["--model", "vit:patchs=7"], ["'patchs'", "did you mean 'patch'?", "heads"]),
    (["--model", "vit:image=30,patch=7,dim=32,depth=1,heads=2"], ["30", "7"]),
    (["--strategy", "spb"], ["'spb'", "did you mean 'sbp'?", "full"]),
    (["--strategy", "sbp:kept=0.5"], ["'kept'", "did you mean 'keep'?"]),
    (["--strategy", "sbp:keep=0"], ["keep", "'0'"]),
    (["--strategy", "sbp:keep=1.5"], ["keep", "'1.5'"]),
    (["--strategy", "sbp:keep=nan"], ["keep", "'nan'"]),
    (["--strategy", "sbp:mask=grit"], ["'grit'", "did you mean 'grid'?"]),
    (["--strategy", "sbp+sbp"], ["sbp"]),
    (["--strategy", "sbp:keep=[0.5;0.2;0.1]"], ["3 ratios", "blocks drop"]),
    (["--strategy", "sbp:keep=0.5..nan"], ["keep", "'nan'"]),
    (["--strategy", "sbp:layers=block.*"], ["'block.*'", "blocks.*.attn"]),
    (["--strategy", "sbp:layers=7"], ["'7'", "outside"]),
    (["--strategy", "sbp:start=2"], ["start", "'2'", "0-1"]),
    (["--strategy", "sbp:unbiased=yes"], ["unbiased", "share=layer"]),
    (["--strategy", "sbp:unbiased=yes,share=layer,attention=qkv"], ["unbiased", "'qkv'"]),
    (["--strategy", "sbp:mlp=recompute+recompute:part=mlp"], ["both claim", "materialise"]),
    (["--strategy", "recompute:layers=9"], ["recompute layers", "'9'"]),
    (["--strategy", "dropit+dropit:gamma=0.5"], ["both claim", "gamma=0.9", "gamma=0.5"]),
    (["--strategy", "dropit:gamma=1"], ["gamma", "'1'"]),
    (["--strategy", "dropit:layers=*.fc9"], ["'*.fc9'", "fc1"]),
    (["--strategy", "dropit+recompute:part=activation"], ["as one node", "codes"]),
    (["--strategy", "dropit:select=maxk"], ["'maxk'", "did you mean 'mink'?"]),
    (["--strategy", "dropit:index=seed"], ["index=seed", "select=random"]),
    (["--data", "sinthetic"], ["'sinthetic'", "did you mean 'synthetic'?"]),
    (["--data", "cifar10:pth=x"], ["'pth'", "did you mean 'path'?"]),
    (["--optimizer", "adamv"], ["'adamv'", "did you mean 'adamw'?", "sgd"]),
    (["--optimizer", "sgd:lr=-1"], ["lr", "'-1'"]),
    (["--device", "gpu"], ["'gpu'", "cpu"]),
    (["--precision", "fp8"], ["'fp8'", "fp32", "bf16"]),
    (["--precision", "bf16:list=gpu"], ["'gpu'", "cuda"]),
    (["--precision", "fp32:list=cpu"], ["fp32", "'list'"]),
]


@needs_programs
class BadInput(CommandTest):
    def test_wrong_words_are_one_sentence_and_code_2(self):
        for program in ["sbp-profile", "sbp-train"]:
            for words, parts in USAGE:
                with self.subTest(program=program, words=words):
                    base = [word for pair in zip(TINY[::2], TINY[1::2])
                            if pair[0] != words[0] for word in pair]
                    self.fail_with(2, parts, program, *base, *words)

    def test_words_of_one_command(self):
        self.fail_with(2, ["--steps", "--epochs"], "sbp-train", "--steps", "1", "--epochs", "1")
        self.fail_with(2, ["'liner'", "cosine"], "sbp-train", "--schedule", "liner")
        self.fail_with(2, ["config 'x'"], "sbp-train", "--config", "x")
        self.fail_with(2, ["'begin'", "start"], "sbp-profile", "--zero-grad", "begin")
        self.fail_with(2, ["'meta'"], "sbp-train", *TINY, "--device", "meta", "--steps", "1")
        self.fail_with(2, ["--print-plan"], "sbp-profile", *TINY, "--print-plan", "-o", "x.json")

    def test_a_layer_of_which_nothing_is_kept(self):
        self.fail_with(1, ["'head'", "gamma=0.999", "use a smaller gamma"], "sbp-profile", *TINY,
                       "--strategy", "dropit:gamma=0.999,layers=head")

    def test_missing_data_file(self):
        missing = self.folder / "none.bin"
        for program in ["sbp-profile", "sbp-train"]:
            self.fail_with(1, [f"'{missing}'"], program, "--model", "vit:image=32,patch=8,dim=32,"
                           "depth=1,heads=2,classes=10", "--data", f"cifar10:path={missing}")

    def test_memory_that_cannot_fit(self):
        self.fail_with(1, ["GiB", "vit_large_patch16_224"], "sbp-profile", "--model",
                       "vit_large_patch16_224", "--batch", "1000000")


@needs_programs
class BadOutput(CommandTest):
    """All but the last are found before the work: a run would need minutes."""

    LONG = ["--model", "vit_large_patch16_224", "--batch", "8"]

    def refuse(self, code, parts, *words):
        before = sorted(os.listdir(self.folder))
        for program in ["sbp-profile", "sbp-train"]:
            self.fail_with(code, parts, program, *self.LONG, *words, timeout=5)
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_missing_folder(self):
        path = self.folder / "no" / "x.json"
        self.refuse(2, [f"'{path}'", "no folder"], "-o", path)

    def test_existing_file(self):
        path = self.folder / "x.json"
        path.write_text("mine")
        self.refuse(2, [f"'{path}'", "--force"], "-o", path)
        self.assertEqual(path.read_text(), "mine")

    def test_folder_as_file(self):
        self.refuse(2, [f"'{self.folder}'", "folder"], "-o", self.folder, "--force")

    def test_unwritable_folder(self):
        # Nobody can make a file there, not even root.
        self.refuse(1, ["'/proc/x.json'"], "-o", "/proc/x.json")

    def test_full_device(self):
        for program, words in [("sbp-profile", ["--time-steps", "0"]),
                               ("sbp-train", ["--steps", "1"])]:
            self.fail_with(1, ["'/dev/full'", "No space left"], program, *TINY, *words, "--quiet",
                           "-o", "/dev/full")
            with open("/dev/full", "w") as full:
                self.fail_with(1, ["standard output", "No space left"], program, *TINY, *words,
                               "--json", "--quiet", stdout=full)

    def test_closed_pipe(self):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            self.fail_with(1, ["standard output", "pipe"], "sbp-profile", *TINY, "--time-steps",
                           "0", stdout=writer)
        finally:
            os.close(writer)

    def test_a_broken_stdout_does_not_lose_the_file(self):
        path = self.folder / "x.json"
        with open("/dev/full", "w") as full:
            self.fail_with(1, ["standard output"], "sbp-profile", *TINY, "-o", path, stdout=full)
        self.assert_valid(path.read_text(), "profile")


if __name__ == "__main__":
    unittest.main()
