// The options of sbp-sweep: its own, and those of the command that it runs.
#include <algorithm>
#include <optional>

#include "cli/option_groups.h"
#include "cli/options.h"
#include "sbp/base/error.h"

namespace sbp::cli {
namespace {

constexpr const char* kSweepPurpose =
    "Runs a command once for each combination of named axes, many at a time as far as memory\n"
    "allows. Every finished point is one report in DIR/points; a sweep that was killed goes on\n"
    "where it was when it is started again. Options of the command are the points' base.";
constexpr const char* kSweepExamples =
    "Examples:\n"
    "  sbp-sweep --model vit:patch=7,dim=64,depth=4,heads=4 --data fashion_mnist --batch 64 \\\n"
    "            --axis 'strategy=full|sbp' --axis 'strategy.sbp.keep=0.25|0.5|0.75' \\\n"
    "            --axis 'seed=1|2|3' -o runs/keep --list\n"
    "  sbp-sweep --command profile --axis 'batch=8|16|32' --axis 'strategy=full|dropit' -o runs/b\n"
    "  sbp-sweep --recipe experiments/recipes/ablations/keep_ratio.json --jobs 2 -o runs/ratios\n"
    "  sbp-sweep --recipe face_off.json --data cifar10:path=batches -o runs/face_off "
    "--retry-failed";

const std::vector<std::string> kCommands = {"train", "profile", "correlate"};

// The value of an option that decides what others there are.
std::optional<std::string> peek(const std::vector<std::string>& arguments,
                                const std::string& option) {
  std::optional<std::string> value;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == option && i + 1 < arguments.size()) value = arguments[i + 1];
    if (arguments[i].starts_with(option + "=")) value = arguments[i].substr(option.size() + 1);
  }
  return value;
}

// Where the options of all commands are read into; only what was typed is of interest.
struct SweptTargets {
  TrainTargets train;
  ProfileTargets profile;
  CorrelateTargets correlate;
};

// The place where a new command is added: its options here, what it needs in swept_command.cpp.
void add_swept_options(Parser& parser, const std::string& command, SweptTargets& targets) {
  if (command == "train") {
    add_train_run_options(parser, targets.train);
    add_init_option(parser, targets.train.run);
  } else if (command == "profile") {
    add_profile_run_options(parser, targets.profile);
  } else {
    add_correlate_run_options(parser, targets.correlate, OneStrategy::yes);
  }
}

void add_own_options(Parser& parser, SweepCommand& command, bool& no_trial) {
  parser.group("The sweep");
  parser.choice({"--command", "WORD", "what a point runs: train, profile or correlate"},
                command.command, kCommands);
  parser.texts({"--axis", "NAME=V|V", "an option or OPTION.SPEC.KEY, and its values"},
               command.axis_texts);
  parser.text({"--recipe", "FILE", "base options, axes and exclusions from a JSON file"},
              command.recipe_file);
  parser.flag({"--equal-peak", "", "the largest batch that peaks no higher than strategy full"},
              command.equal_peak);
  parser.text({"-o,--output", "DIR", "the sweep's folder; made if it is absent"}, command.folder);
  parser.integer({"--jobs", "N", "points at a time, each with its share of the processors"},
                 command.jobs, {1, 1024});
  parser.choice({"--engine", "WORD", "what runs them: local"}, command.engine, {"local"});
  parser.flag({"--retry-failed", "", "run points again that are recorded as not finished"},
              command.retry_failed);
  parser.flag({"--list", "", "print the plan, and run nothing"}, command.list);
  parser.flag({"--no-trial", "", "with --list: guess no times, which takes a few steps a point"},
              no_trial);
  parser.flag({"--json", "", "print the sweep's report as JSON instead of text"}, command.json);
  parser.flag({"--quiet", "", "no text, no progress, no notes"}, command.quiet);
}

// Those of the recipe, with the axes of the command line in the place of others of their names.
std::vector<reports::SweepAxis> axes_of(const SweepCommand& command) {
  std::vector<reports::SweepAxis> axes = command.recipe.axes;
  std::vector<std::string> typed;
  for (const std::string& text : command.axis_texts) {
    reports::SweepAxis axis = sweep::parse_axis(text);
    if (std::ranges::find(typed, axis.name) != typed.end()) {
      throw UsageError(concat("axis '", axis.name, "' is given twice"));
    }
    typed.push_back(axis.name);
    const auto old = std::ranges::find(axes, axis.name, &reports::SweepAxis::name);
    if (old == axes.end()) {
      axes.push_back(std::move(axis));
    } else {
      *old = std::move(axis);
    }
  }
  return axes;
}

// A value of an axis would silently take the place of what was asked for.
void check_base(const SweepCommand& command, const std::vector<GivenOption>& given) {
  for (const GivenOption& option : given) {
    const auto& axes = command.axes;
    const bool is_axis =
        std::ranges::find(axes, option.name, &reports::SweepAxis::name) != axes.end();
    if (!is_axis) continue;
    throw UsageError(concat("--", option.name, " is '", option.value, "'",
                            option.file.empty() ? "" : concat(" in ", option.file),
                            ", and an axis too; give one of the two (--axis '", option.name, "=",
                            option.value, "' for that value alone)"));
  }
}

}  // namespace

std::variant<SweepCommand, Answer> parse_sweep(const std::vector<std::string>& arguments) {
  SweepCommand command;
  bool no_trial = false;
  if (const auto recipe = peek(arguments, "--recipe"); recipe && !recipe->empty()) {
    command.recipe = sweep::read_recipe(*recipe);
  }
  const std::string& named = command.recipe.command;
  if (!named.empty() && std::ranges::find(kCommands, named) == kCommands.end()) {
    throw UsageError(concat("recipe '", *peek(arguments, "--recipe"), "' has the command '", named,
                            "'; it must be one of ", join(kCommands)));
  }
  if (!named.empty()) command.command = named;
  std::string swept = peek(arguments, "--command").value_or(command.command);
  if (std::ranges::find(kCommands, swept) == kCommands.end()) swept = command.command;

  Parser parser("sbp-sweep", kSweepPurpose, kSweepExamples);
  add_own_options(parser, command, no_trial);
  const std::vector<std::string> own = parser.names();
  SweptTargets targets;
  add_swept_options(parser, swept, targets);
  for (const std::string& name : parser.names()) {
    if (std::ranges::find(own, name) == own.end()) command.option_names.push_back(name);
  }
  std::erase(command.option_names, "config");
  parser.preset(
      {concat("recipe '", peek(arguments, "--recipe").value_or(""), "'"), command.recipe.base});
  if (auto answer = parser.parse(arguments)) return Answer{*answer};

  command.trial = !no_trial;
  command.equal_peak = command.equal_peak || command.recipe.equal_peak;
  command.axes = axes_of(command);
  std::vector<GivenOption> given = parser.given();
  std::erase_if(given, [&](const GivenOption& option) {
    return std::ranges::find(command.option_names, option.name) == command.option_names.end();
  });
  // An axis of the command line takes the place of the recipe's own value.
  std::erase_if(given, [&](const GivenOption& option) {
    const auto is_it = [&](const std::string& text) { return text.starts_with(option.name + "="); };
    return option.file.starts_with("recipe ") && std::ranges::any_of(command.axis_texts, is_it);
  });
  check_base(command, given);
  for (const GivenOption& option : given) command.base.emplace_back(option.name, option.value);
  command.flags = parser.flags();
  command.command_line = command_line("sbp-sweep", arguments);
  return command;
}

}  // namespace sbp::cli
