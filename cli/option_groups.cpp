#include "cli/option_groups.h"

#include "sbp/base/error.h"

namespace sbp::cli {

void add_run_options(Parser& parser, experiments::RunOptions& run, OneStrategy strategy) {
  parser.group(
      "What to run (a SPEC is NAME or NAME:KEY=VALUE,KEY=VALUE; sbp-train --list has all)");
  parser.text({"--model", "SPEC", "the model"}, run.model);
  parser.text({"--data", "SPEC", "the images"}, run.data);
  if (strategy == OneStrategy::yes) {
    parser.text({"--strategy", "SPEC", "what of the backward pass is dropped"}, run.strategy);
  }
  parser.text({"--optimizer", "SPEC", "the optimizer"}, run.optimizer);
  parser.integer({"--batch", "N", "images a step"}, run.batch, {1, 1'000'000});
  parser.integer({"--accumulate", "N", "batches whose gradients make one step"}, run.accumulate,
                 {1, 1'000'000});
  parser.real({"--clip-norm", "NORM", "of all gradients together, at most; 0: not clipped"},
              run.clip_norm, {.minimum = 0.0, .maximum = 1e6});
  parser.real({"--ema", "DECAY", "keep averaged weights that decay so; 0: none"}, run.ema,
              {.minimum = 0.0, .maximum = 1.0, .open_maximum = true});
  parser.unsigned_integer({"--seed", "N", "of weights, masks, order of the data"}, run.seed);
  parser.integer({"--threads", "N", "0: as many as there are processors"}, run.threads, {0, 1024});
  parser.text({"--device", "DEVICE", "cpu, cuda:N, or meta (computes nothing, sizes only)"},
              run.device);
  parser.text({"--precision", "SPEC", "fp32, bf16 or fp16 (mixed, parameters in fp32)"},
              run.precision);
  parser.options_file({"--config", "FILE", "take options from a JSON file; those given here win"});
}

void add_output_options(Parser& parser, OutputOptions& output) {
  parser.group("Where the result goes");
  parser.text({"-o,--output", "FILE", "write the report as JSON; - is standard output"},
              output.path);
  parser.flag({"--json", "", "print the report as JSON instead of text"}, output.json);
  parser.flag({"--quiet", "", "no text, no progress, no notes"}, output.quiet);
  parser.flag({"--force", "", "replace FILE if it exists"}, output.force);
}

void add_image_options(Parser& parser, experiments::RunOptions& run) {
  parser.text({"--augment", "SPECS", "changes of training images, joined by +"}, run.augment);
  parser.integer({"--workers", "N", "threads that read and change images"}, run.workers, {1, 1024});
}

void add_list_option(Parser& parser, std::string& list) {
  parser.group("Names");
  parser.choice({"--list", "WORD", "print names and keys: " + join(list_topics())}, list,
                list_topics());
}

std::vector<std::string> command_line(const std::string& program,
                                      const std::vector<std::string>& arguments) {
  std::vector<std::string> line = {program};
  line.insert(line.end(), arguments.begin(), arguments.end());
  return line;
}

const std::vector<std::string>& list_topics() {
  static const std::vector<std::string> kTopics = {"models",     "data",      "strategies",
                                                   "optimizers", "schedules", "augmentations",
                                                   "precisions", "gpus"};
  return kTopics;
}

}  // namespace sbp::cli
