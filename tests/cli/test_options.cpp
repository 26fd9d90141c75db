#include <doctest/doctest.h>

#include "cli/options.h"
#include "sbp/base/error.h"
#include "tests/experiments/scratch_folder.h"

using namespace sbp;
using namespace sbp::cli;

namespace {

ProfileCommand profile(const std::vector<std::string>& arguments) {
  return std::get<ProfileCommand>(parse_profile(arguments));
}

TrainCommand train(const std::vector<std::string>& arguments) {
  return std::get<TrainCommand>(parse_train(arguments));
}

std::string complaint(const std::vector<std::string>& arguments) {
  try {
    (void)parse_profile(arguments);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::usage);
    return error.what();
  }
  return {};
}

std::string train_complaint(const std::vector<std::string>& arguments) {
  try {
    (void)parse_train(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("without words every option has its default") {
  const ProfileCommand command = profile({});
  const experiments::ProfileOptions defaults;
  CHECK(command.run.model == defaults.model);
  CHECK(command.run.strategy == "full");
  CHECK(command.run.batch == defaults.batch);
  CHECK(command.run.warmup == 2);
  CHECK(command.run.command_line == std::vector<std::string>{"sbp-profile"});
  CHECK(command.top == 10);
  CHECK_FALSE(command.print_plan);
  CHECK(command.output.text_on_stdout());
  CHECK_FALSE(train({}).run.steps.has_value());
  CHECK(train({}).run.profile_step);
}

TEST_CASE("every profile option reaches its setting") {
  const ProfileCommand command = profile({"--model",
                                          "mlp:hidden=3",
                                          "--data",
                                          "cifar10:path=a b",
                                          "--strategy=sbp:keep=0.5",
                                          "--optimizer",
                                          "sgd:lr=1",
                                          "--batch",
                                          "3",
                                          "--accumulate",
                                          "4",
                                          "--clip-norm=1.5",
                                          "--ema=0.99",
                                          "--seed",
                                          "9223372036854775807",
                                          "--threads",
                                          "2",
                                          "--device",
                                          "meta",
                                          "--precision",
                                          "bf16",
                                          "--warmup",
                                          "0",
                                          "--time-steps",
                                          "7",
                                          "--zero-grad",
                                          "before_backward",
                                          "--print-plan",
                                          "--top",
                                          "0",
                                          "--json",
                                          "--quiet",
                                          "--force"});
  CHECK(command.run.model == "mlp:hidden=3");
  CHECK(command.run.data == "cifar10:path=a b");
  CHECK(command.run.strategy == "sbp:keep=0.5");
  CHECK(command.run.optimizer == "sgd:lr=1");
  CHECK(command.run.batch == 3);
  CHECK(command.run.accumulate == 4);
  CHECK(command.run.clip_norm == 1.5);
  CHECK(command.run.ema == 0.99);
  CHECK(command.run.seed == 9223372036854775807U);
  CHECK(command.run.threads == 2);
  CHECK(command.run.device == "meta");
  CHECK(command.run.precision == "bf16");
  CHECK(command.run.warmup == 0);
  CHECK(command.run.time_steps == 7);
  CHECK(command.run.zero_grad == experiments::ZeroGrad::before_backward);
  CHECK(command.print_plan);
  CHECK(command.top == 0);
  CHECK(command.output.json);
  CHECK(command.output.quiet);
  CHECK(command.output.force);
  CHECK(command.run.command_line.size() == 34);
  CHECK(command.run.command_line[2] == "mlp:hidden=3");
  CHECK(profile({"--zero-grad", "end"}).run.zero_grad == experiments::ZeroGrad::end);
}

TEST_CASE("every training option reaches its setting") {
  const TrainCommand command = train({"--steps",
                                      "9",
                                      "--schedule",
                                      "constant",
                                      "--warmup-steps",
                                      "4",
                                      "--warmup-start=1e-6",
                                      "--minimum-learning-rate",
                                      "1e-5",
                                      "--label-smoothing",
                                      "0.1",
                                      "--evaluate-every",
                                      "0",
                                      "--evaluation-samples",
                                      "100",
                                      "--flip",
                                      "--crop-padding",
                                      "2",
                                      "--no-profile-step",
                                      "-o",
                                      "x.json"});
  CHECK(command.run.steps == 9);
  CHECK_FALSE(command.run.epochs.has_value());
  CHECK(command.run.schedule == "constant");
  CHECK(command.run.warmup_steps == 4);
  CHECK(train({"--warmup-epochs=2.5"}).run.warmup_epochs == 2.5);
  CHECK(command.run.warmup_start == 1e-6);
  CHECK(command.run.learning_rate_minimum == 1e-5);
  CHECK(command.run.label_smoothing == 0.1);
  CHECK(command.run.evaluate_every == 0);
  CHECK(command.run.evaluation_samples == 100);
  CHECK(command.run.flip);
  CHECK(command.run.crop_padding == 2);
  CHECK_FALSE(command.run.profile_step);
  CHECK(command.output.path == "x.json");
  CHECK(train({"--epochs", "3"}).run.epochs == 3);
}

TEST_CASE("where the output goes") {
  CHECK(profile({"-o", "-"}).output.json_on_stdout());
  CHECK_FALSE(profile({"--output", "-"}).output.text_on_stdout());
  CHECK(profile({"-o", "f"}).output.text_on_stdout());
  CHECK_FALSE(profile({"-o", "f", "--quiet"}).output.text_on_stdout());
  CHECK_FALSE(profile({"--json"}).output.text_on_stdout());
}

TEST_CASE("numbers out of range name the option, the value and the range") {
  const std::string range = "; it must be a whole number from 1 to 1000000";
  CHECK(complaint({"--batch", "0"}) == "--batch is '0'" + range);
  CHECK(complaint({"--batch", "-3"}) == "--batch is '-3'" + range);
  CHECK(complaint({"--batch=1000001"}) == "--batch is '1000001'" + range);
  CHECK(complaint({"--batch", "8x"}) == "--batch is '8x'" + range);
  CHECK(complaint({"--batch", "1.5"}) == "--batch is '1.5'" + range);
  CHECK(complaint({"--batch", "99999999999999999999"}) ==
        "--batch is '99999999999999999999'" + range);
  CHECK(complaint({"--seed", "9223372036854775808"}) ==
        "--seed is '9223372036854775808'; it must be a whole number from 0 to "
        "9223372036854775807");
  CHECK(train_complaint({"--label-smoothing", "1"}) ==
        "--label-smoothing is '1'; it must be a number from 0 to 1 (below it)");
  CHECK(train_complaint({"--label-smoothing", "nan"}) ==
        "--label-smoothing is 'nan'; it must be a number from 0 to 1 (below it)");
}

TEST_CASE("an empty value is an error") {
  CHECK(complaint({"--strategy", ""}) == "--strategy is ''; it must be a SPEC, not empty");
  CHECK(complaint({"--output", ""}) == "--output is ''; it must be a FILE, not empty");
  CHECK(complaint({"--batch", ""}) == "--batch is ''; it must be a whole number from 1 to 1000000");
  CHECK(complaint({"--batch"}) == "--batch needs a value; see --help");
  CHECK(complaint({"--batch", "1", "--batch", "2"}) ==
        "--batch is given more than once; see --help");
}

TEST_CASE("unknown options and words are named, with the nearest") {
  CHECK(complaint({"--modle", "x"}) ==
        "unknown option '--modle'; did you mean '--model'? See --help");
  CHECK(complaint({"--bach=4"}) == "unknown option '--bach'; did you mean '--batch'? See --help");
  CHECK(complaint({"extra"}) == "unexpected word 'extra'; options begin with --, see --help");
  CHECK(complaint({"--list", "model"}) ==
        "--list is 'model'; it must be one of models, data, strategies, optimizers, schedules, "
        "augmentations, precisions, gpus; did you mean 'models'?");
}

TEST_CASE("options that exclude each other") {
  CHECK(train_complaint({"--steps", "1", "--epochs", "2"}) ==
        "--steps is '1' and --epochs is '2'; give one of the two");
  CHECK(complaint({"--print-plan", "-o", "x"}) ==
        "--print-plan makes no report; leave --output out, or print with --json");
  CHECK_THROWS_WITH_AS(parse_report_command({"--diff", "a"}), "--diff compares two files, not 1",
                       UsageError);
  CHECK_THROWS_AS(parse_report_command({}), UsageError);
}

TEST_CASE("help and version are answers, not commands") {
  const std::string help = std::get<Answer>(parse_profile({"--help"})).text;
  CHECK(help.starts_with("Runs one training step"));
  CHECK(help.find("Examples:\n") != std::string::npos);
  CHECK(help.find("images a step; default 8") != std::string::npos);
  CHECK(help.find("\n\n\n") == std::string::npos);
  CHECK(help.ends_with("\n"));
  CHECK(std::get<Answer>(parse_train({"--version"})).text.starts_with("sbp-train "));
  CHECK(std::get<Answer>(parse_report_command({"-h"})).text.find("--diff") != std::string::npos);
}

TEST_CASE("files of sbp-report") {
  const auto command =
      std::get<ReportCommand>(parse_report_command({"a", "--diff", "b", "--top=3"}));
  CHECK(command.files == std::vector<std::string>{"a", "b"});
  CHECK(command.diff);
  CHECK(command.top == 3);
  CHECK(std::get<ReportCommand>(parse_report_command({"-"})).files ==
        std::vector<std::string>{"-"});
}

TEST_CASE("a config gives options, and the command line wins") {
  const tests::ScratchFolder folder;
  const std::string path = folder.write("run.json", R"({"about": "a run", "options":
      {"model": "mlp:hidden=3", "batch": 64, "flip": true, "epochs": 300, "seed": 5,
       "label-smoothing": 0.1, "minimum-learning-rate": 1e-6}})");
  const TrainCommand all = train({"--config", path});
  CHECK(all.run.model == "mlp:hidden=3");
  CHECK(all.run.batch == 64);
  CHECK(all.run.flip);
  CHECK(all.run.epochs == 300);
  CHECK(all.run.label_smoothing == 0.1);
  CHECK(all.run.learning_rate_minimum == 1e-6);

  // Whatever the order on the line.
  const TrainCommand some = train({"--batch=8", "--config", path, "--flip=false", "--steps", "7"});
  CHECK(some.run.batch == 8);
  CHECK_FALSE(some.run.flip);
  CHECK(some.run.steps == 7);
  CHECK_FALSE(some.run.epochs.has_value());
  CHECK(some.run.seed == 5);
  CHECK(some.run.command_line.size() == 7);
}

TEST_CASE("what is wrong in a config is said with its name") {
  const tests::ScratchFolder folder;
  const auto complaint_of = [&](const std::string& options) {
    const std::string path = folder.write("c.json", "{\"options\": " + options + "}");
    const std::string sentence = train_complaint({"--config", path});
    const std::string begin = "config '" + path + "'";
    CHECK(sentence.starts_with(begin));
    return sentence.substr(std::min(begin.size(), sentence.size()));
  };
  CHECK(complaint_of(R"({"modle": "mlp"})") ==
        ": unknown option '--modle'; did you mean '--model'? See --help");
  CHECK(complaint_of(R"({"batch": 0})") ==
        ": --batch is '0'; it must be a whole number from 1 to 1000000");
  CHECK(complaint_of(R"({"flip": 3})") == ": --flip is '3'; it must be true or false");
  CHECK(complaint_of(R"({"config": "other.json"})") == " names another config; only one is read");
  CHECK(complaint_of(R"({"steps": 3, "epochs": 4})") ==
        " has both --steps and --epochs; give one of the two");
  CHECK(train_complaint({"--config", folder.path("none.json")}) ==
        "cannot read config '" + folder.path("none.json") + "'; it must be a readable JSON file");
  CHECK(train_complaint({"--config", "a", "--config", "b"}) ==
        "--config is given more than once; see --help");
}
