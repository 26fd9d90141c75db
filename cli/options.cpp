#include "cli/options.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "cli/option_groups.h"
#include "sbp/base/device_id.h"
#include "sbp/base/error.h"

namespace sbp::cli {
namespace {

experiments::ZeroGrad zero_grad_of(const std::string& word) {
  if (word == "before_backward") return experiments::ZeroGrad::before_backward;
  return word == "end" ? experiments::ZeroGrad::end : experiments::ZeroGrad::start;
}

constexpr const char* kProfilePurpose =
    "Runs one training step and says where every byte of its memory went: by layer, phase and\n"
    "purpose, what lived at the peak, and what was kept for the backward pass.";
constexpr const char* kProfileExamples =
    "Examples:\n"
    "  sbp-profile --model vit_tiny_patch16_224 --batch 8\n"
    "  sbp-profile --strategy sbp:keep=0.5 --top 0 -o half.json\n"
    "  sbp-profile --strategy sbp:keep=0.25,mask=random --print-plan\n"
    "  sbp-profile --model vit_base_patch16_224 --batch 64 --device meta\n"
    "  sbp-profile --model vit_base_patch16_224 --batch 64 --predict a100\n"
    "  sbp-profile --model resnet50 --predict rtx3060:memory=8GiB --largest-batch\n"
    "  sbp-profile --published experiments/recipes/published\n"
    "  sbp-profile --list strategies";

constexpr const char* kTrainPurpose =
    "Trains a model, evaluates it after each epoch, and reports loss, accuracy, time and the\n"
    "memory of one traced step. Ctrl-C finishes the step in hand and reports what there is.";
constexpr const char* kTrainExamples =
    "Examples:\n"
    "  sbp-train --model vit:image=28,patch=7,dim=64,depth=4,heads=4,channels=1,classes=10 \\\n"
    "            --data fashion_mnist --batch 128 --epochs 2\n"
    "  sbp-train --strategy sbp:keep=0.5 --steps 100 -o run.json\n"
    "  sbp-train --optimizer sgd:lr=0.1,momentum=0.9 --schedule constant --flip --epochs 5\n"
    "  sbp-train --schedule 'step:at=[6;8],factor=0.2' --warmup-epochs 1 --ema 0.99 --epochs 9\n"
    "  sbp-train --list optimizers";

void add_training_options(Parser& parser, experiments::TrainOptions& run) {
  parser.group("Training");
  parser.integer({"--steps", "N", "stop after so many steps"}, run.steps, kPositive);
  parser.integer({"--epochs", "N", "stop after so many epochs; default 1"}, run.epochs, kPositive);
  parser.alternatives({"--steps", "--epochs"});
  parser.alternatives({"--warmup-steps", "--warmup-epochs"});
  parser.text({"--schedule", "SPEC", "of the learning rate: cosine, step or constant"},
              run.schedule);
  parser.integer({"--warmup-steps", "N", "steps of linear warm-up"}, run.warmup_steps, kCount);
  parser.real({"--warmup-epochs", "N", "the same in epochs; 2.5 is allowed"}, run.warmup_epochs,
              {.minimum = 0.0, .maximum = 1e9});
  parser.real({"--warmup-start", "RATE", "learning rate that warm-up starts from"},
              run.warmup_start, {.minimum = 0.0, .maximum = 1e6});
  parser.real({"--minimum-learning-rate", "RATE", "where the schedule ends"},
              run.learning_rate_minimum, {.minimum = 0.0, .maximum = 1e6});
  parser.real({"--label-smoothing", "RATIO", "moved from the right class to all"},
              run.label_smoothing, {.minimum = 0.0, .maximum = 1.0, .open_maximum = true});
  parser.integer({"--evaluate-every", "N", "epochs; 0: only at the end"}, run.evaluate_every,
                 kCount);
  parser.integer({"--fidelity-every", "N", "steps between looks at the exact gradient; 0: none"},
                 run.fidelity_every, kCount);
  parser.integer({"--evaluation-samples", "N", "at most; default all"}, run.evaluation_samples,
                 kPositive);
  parser.flag({"--flip", "", "flip training images at random"}, run.flip);
  parser.integer({"--crop-padding", "N", "pad by N pixels and crop at random"}, run.crop_padding,
                 {0, 1024});
  add_image_options(parser, run);
  parser.real({"--eval-crop-ratio", "RATIO", "centre crop of test images; 0: the data's own"},
              run.evaluation_crop_ratio, {.minimum = 0.0, .maximum = 1.0});
}

void add_weight_options(Parser& parser, experiments::TrainOptions& run) {
  experiments::CheckpointOptions& checkpoint = run.checkpoint;
  parser.group("Weights and checkpoints");
  add_init_option(parser, run);
  parser.flag({"--evaluate", "", "only evaluate the weights of --init or --checkpoint"},
              run.evaluate_only);
  parser.text({"--checkpoint", "DIR", "write checkpoints there; --force replaces another run's"},
              checkpoint.folder);
  parser.flag({"--resume", "", "go on from the checkpoint in DIR"}, checkpoint.resume);
  parser.integer({"--checkpoint-every", "N", "epochs; 0: not by epochs"}, checkpoint.every_epochs,
                 kCount);
  parser.integer({"--checkpoint-every-steps", "N", "steps; 0: not by steps"},
                 checkpoint.every_steps, kCount);
  parser.integer({"--keep-checkpoints", "N", "files of tensors that stay, the latest"},
                 checkpoint.keep, {1, 1'000'000});
  parser.text({"--tensorboard", "DIR", "write scalars there that TensorBoard shows"},
              run.tensorboard);
}

// What of a prediction was given without one, and what a prediction has no use for.
void check_given(const std::vector<GivenOption>& given, const experiments::ProfileOptions& run) {
  const bool predicts = !run.predict.empty();
  for (const auto& [name, value, is_flag, file] : given) {
    const bool is_of_predictions =
        name == "allocator" || name == "loop" || name == "predict-steps" || name == "largest-batch";
    if (is_of_predictions && !predicts) {
      throw UsageError(concat("--", name, " is of predictions; say for which GPU with --predict"));
    }
    const bool is_of_runs = name == "warmup" || name == "time-steps" || name == "print-plan";
    if (is_of_runs && predicts) {
      throw UsageError(concat("--", name, " is of a step that runs; leave it or --predict out"));
    }
  }
  if (predicts && parse_device(run.device).kind == DeviceId::Kind::cuda) {
    throw UsageError(
        concat("--device '", run.device, "' runs the step; to predict without a GPU leave it out"));
  }
}

// Published figures bring their runs along.
void check_given_with_published(const std::vector<GivenOption>& given) {
  constexpr std::array<std::string_view, 7> kAllowed = {"published", "predict", "output", "json",
                                                        "quiet",     "force",   "list"};
  for (const GivenOption& option : given) {
    if (std::ranges::count(kAllowed, option.name) == 0) {
      throw UsageError(concat("--", option.name,
                              " is not an option of --published, whose files say "
                              "what is run; leave it out"));
    }
  }
}

}  // namespace

void add_profile_run_options(Parser& parser, ProfileTargets& targets) {
  add_run_options(parser, targets.run);
  parser.group("The step");
  parser.integer({"--warmup", "N", "untraced steps before the traced one"}, targets.run.warmup,
                 kCount);
  parser.integer({"--time-steps", "N", "untraced steps timed after it"}, targets.run.time_steps,
                 kCount);
  parser.choice({"--zero-grad", "WHEN", "start, before_backward or end of the step"},
                targets.zero_grad, {"start", "before_backward", "end"});
  add_image_options(parser, targets.run);
  parser.group("Memory of a GPU, predicted (nothing is computed, and no GPU is needed)");
  parser.text(
      {"--predict", "SPEC", "for this GPU: a100, rtx3060:memory=8GiB, FILE.json; --list gpus"},
      targets.run.predict);
  parser.text({"--allocator", "SPEC", "of PyTorch's allocator: expandable_segments=true, ..."},
              targets.run.allocator);
  parser.choice({"--loop", "WHOSE", "training loop: one in python, or sbp's own"}, targets.loop,
                {"python", "sbp"});
  parser.integer({"--predict-steps", "N", "training steps to predict"}, targets.run.predict_steps,
                 {1, 1000});
  parser.flag({"--largest-batch", "", "search for the largest batch that fits"},
              targets.run.largest_batch);
  parser.flag({"--blocks", "", "keep every block's life in the report, for exports"},
              targets.run.keep_blocks);
}

void add_train_run_options(Parser& parser, TrainTargets& targets) {
  add_run_options(parser, targets.run);
  add_training_options(parser, targets.run);
  parser.flag({"--no-profile-step", "", "trace no step, report no memory"},
              targets.no_profile_step);
}

void add_init_option(Parser& parser, experiments::TrainOptions& run) {
  parser.text({"--init", "FILE", "start from weights: safetensors, or a checkpoint's folder"},
              run.init);
}

std::variant<ProfileCommand, Answer> parse_profile(const std::vector<std::string>& arguments) {
  ProfileCommand command;
  ProfileTargets targets;
  Parser parser("sbp-profile", kProfilePurpose, kProfileExamples);
  add_profile_run_options(parser, targets);
  parser.text(
      {"--published", "PATH", "published figures beside predicted ones: a file, or a folder"},
      command.published);
  parser.flag({"--print-plan", "", "print what would be dropped where, and run nothing"},
              command.print_plan);
  parser.integer({"--top", "N", "layers listed by themselves, largest at the peak first; 0: all"},
                 command.top, kCount);
  add_output_options(parser, command.output);
  add_list_option(parser, command.list);
  if (auto answer = parser.parse(arguments)) return Answer{*answer};

  if (command.published.empty()) {
    check_given(parser.given(), targets.run);
  } else {
    check_given_with_published(parser.given());
  }
  if (command.print_plan && !command.output.path.empty()) {
    throw UsageError("--print-plan makes no report; leave --output out, or print with --json");
  }
  command.run = targets.run;
  command.run.zero_grad = zero_grad_of(targets.zero_grad);
  command.run.loop =
      targets.loop == "sbp" ? experiments::TrainingLoop::sbp : experiments::TrainingLoop::python;
  command.run.command_line = command_line("sbp-profile", arguments);
  return command;
}

std::variant<TrainCommand, Answer> parse_train(const std::vector<std::string>& arguments) {
  TrainCommand command;
  Parser parser("sbp-train", kTrainPurpose, kTrainExamples);
  TrainTargets targets;
  add_train_run_options(parser, targets);
  add_weight_options(parser, targets.run);
  add_output_options(parser, command.output);
  add_list_option(parser, command.list);
  if (auto answer = parser.parse(arguments)) return Answer{*answer};

  command.run = targets.run;
  command.run.profile_step = !targets.no_profile_step;
  // The same command goes on with a run that ended early: its report is then replaced.
  const bool resume = command.run.checkpoint.resume;
  command.output.force = command.output.force || resume;
  command.run.checkpoint.replace = command.output.force && !resume;
  command.run.command_line = command_line("sbp-train", arguments);
  return command;
}

}  // namespace sbp::cli
