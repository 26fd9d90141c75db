// The options of sbp-correlate.
#include "cli/option_groups.h"
#include "cli/options.h"
#include "sbp/base/error.h"

namespace sbp::cli {
namespace {

constexpr const char* kPurpose =
    "Compares gradients under strategies with the exact one, on fixed batches at a state of the\n"
    "training: by parameter, by layer and over all, with the bytes that each strategy saves.";
constexpr const char* kExamples =
    "Examples:\n"
    "  sbp-correlate --strategy sbp:keep=0.5 --strategy dropit:gamma=0.9\n"
    "  sbp-correlate --strategy sbp --strategy sbp:attention=qkv --at 0 --masks 8 -o start.json\n"
    "  sbp-correlate --checkpoint run --strategy sbp --strategy sbp:keep=0.25 --no-local\n"
    "  sbp-correlate --list strategies";

}  // namespace

void add_correlate_run_options(Parser& parser, CorrelateTargets& targets, OneStrategy strategy) {
  experiments::CorrelateOptions& run = targets.run;
  add_run_options(parser, run, strategy);
  parser.group("What to compare");
  if (strategy == OneStrategy::no) {
    parser.texts({"--strategy", "SPEC", "a strategy; many times, in the order reported"},
                 run.strategies);
  }
  parser.integer({"--batches", "N", "fixed batches to compare on"}, run.batches, {1, 1'000});
  parser.integer({"--masks", "N", "masks drawn on each batch"}, run.masks, {1, 10'000});
  parser.flag({"--no-local", "", "leave out the view with exact surroundings"}, targets.no_local);
  parser.group("At which state of the training");
  parser.integer({"--at", "N", "training steps before; default 50, from other weights 0"}, run.at,
                 kCount);
  parser.text({"--init", "FILE", "start from weights: safetensors, or a checkpoint's folder"},
              run.init);
  parser.text({"--checkpoint", "DIR", "weights and optimizer of a run of sbp-train"},
              run.checkpoint);
  add_image_options(parser, run);
}

std::variant<CorrelateCommand, Answer> parse_correlate(const std::vector<std::string>& arguments) {
  CorrelateCommand command;
  CorrelateTargets targets;
  Parser parser("sbp-correlate", kPurpose, kExamples);
  add_correlate_run_options(parser, targets, OneStrategy::no);
  parser.integer({"--top", "N", "layers listed, the lowest cosine first; 0: all"}, command.top,
                 kCount);
  add_output_options(parser, command.output);
  add_list_option(parser, command.list);
  if (auto answer = parser.parse(arguments)) return Answer{*answer};
  command.run = std::move(targets.run);
  command.run.local = !targets.no_local;
  command.run.command_line = command_line("sbp-correlate", arguments);
  return command;
}

}  // namespace sbp::cli
