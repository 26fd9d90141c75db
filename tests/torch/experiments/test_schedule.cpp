// Learning rates against closed formulas, and what a schedule refuses.
#include <cmath>
#include <numbers>
#include <string>

#include "experiments/training/schedule.h"
#include "sbp/base/error.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

constexpr double kPeak = 0.4;
// Three epochs.
constexpr TrainingLength kLength{.steps_per_epoch = 4, .total_steps = 12};

doctest::Approx near(double value) {
  return doctest::Approx(value).epsilon(1e-12).scale(0.0);
}

TrainOptions options_for(const std::string& schedule) {
  TrainOptions options;
  options.schedule = schedule;
  return options;
}

Schedule schedule_for(const TrainOptions& options) {
  return make_schedule(options, kPeak, kLength);
}
Schedule schedule_for(const std::string& spec) {
  return schedule_for(options_for(spec));
}

// Another form of half a cosine than the code's.
double half_cosine(double minimum, double progress) {
  const double cosine = std::cos(0.5 * std::numbers::pi * progress);
  return minimum + (kPeak - minimum) * cosine * cosine;
}

void check_refused(const TrainOptions& options, const std::string& sentence) {
  CHECK_THROWS_WITH_AS(schedule_for(options), sentence.c_str(), UsageError);
}
void check_refused(const std::string& spec, const std::string& sentence) {
  check_refused(options_for(spec), sentence);
}

TEST_CASE("a constant rate stays where it is, after warm-up too") {
  const Schedule constant = schedule_for("constant");
  for (const std::int64_t step : {0, 6, 11}) CHECK(constant.at(step) == kPeak);
  TrainOptions options = options_for("constant");
  options.warmup_steps = 2;
  const Schedule warmed = schedule_for(options);
  CHECK(warmed.at(0) == near(0.5 * kPeak));
  for (const std::int64_t step : {1, 2, 11}) CHECK(warmed.at(step) == kPeak);
}

TEST_CASE("a cosine falls from the peak to its minimum after the last step") {
  for (const double minimum : {0.0, 0.1}) {
    CAPTURE(minimum);
    const Schedule schedule = schedule_for(concat("cosine:minimum=", minimum));
    CHECK(schedule.at(0) == kPeak);
    CHECK(schedule.at(6) == near(0.5 * (kPeak + minimum)));
    CHECK(schedule.at(11) == near(half_cosine(minimum, 11.0 / 12.0)));
    CHECK(schedule.at(11) > minimum);
    CHECK(std::abs(schedule.at(12) - minimum) < 1e-15);
  }
}

TEST_CASE("warm-up rises in a line and ends at the peak") {
  TrainOptions options = options_for("cosine");
  options.warmup_steps = 4;
  for (const double start : {0.0, 0.2}) {
    CAPTURE(start);
    options.warmup_start = start;
    const Schedule schedule = schedule_for(options);
    for (std::int64_t step = 0; step < 4; ++step) {
      const double part = static_cast<double>(step + 1) / 4.0;
      CHECK(schedule.at(step) == near(start * (1.0 - part) + kPeak * part));
    }
    CHECK(schedule.at(3) == near(kPeak));
    // The cosine begins where warm-up ends.
    CHECK(schedule.at(4) == kPeak);
    CHECK(schedule.at(8) == near(0.5 * kPeak));
    CHECK(schedule.at(11) == near(half_cosine(0.0, 7.0 / 8.0)));
  }
}

TEST_CASE("a cosine that begins at the start is already below the peak after warm-up") {
  TrainOptions options = options_for("cosine:begin=start");
  options.warmup_steps = 4;
  const Schedule schedule = schedule_for(options);
  CHECK(schedule.at(0) == near(0.25 * kPeak));
  CHECK(schedule.at(3) == near(kPeak));
  CHECK(schedule.at(4) == near(half_cosine(0.0, 4.0 / 12.0)));
  CHECK(schedule.at(11) == near(half_cosine(0.0, 11.0 / 12.0)));
}

TEST_CASE("warm-up in epochs is rounded to steps") {
  TrainOptions options = options_for("constant");
  options.warmup_epochs = 2.5;
  const Schedule schedule = schedule_for(options);
  CHECK(schedule.warmup_steps == 10);
  CHECK(schedule.at(8) == near(0.9 * kPeak));
  CHECK(schedule.at(9) == near(kPeak));
  options.warmup_epochs = 3.0;  // all of training
  CHECK(schedule_for(options).at(11) == near(kPeak));
}

TEST_CASE("a step falls after each so many epochs") {
  const Schedule schedule = schedule_for("step:every=1,factor=0.5");
  CHECK(schedule.at(0) == kPeak);
  CHECK(schedule.at(3) == kPeak);
  CHECK(schedule.at(4) == near(0.5 * kPeak));
  CHECK(schedule.at(7) == near(0.5 * kPeak));
  CHECK(schedule.at(8) == near(0.25 * kPeak));
  CHECK(schedule.at(11) == near(0.25 * kPeak));
  CHECK(schedule_for("step:every=0.5").at(2) == near(0.1 * kPeak));  // the default factor
}

TEST_CASE("a step falls at the given epochs, and not below its minimum") {
  const Schedule schedule = schedule_for("step:at=[0.5;2],factor=0.5");
  CHECK(schedule.at(1) == kPeak);
  CHECK(schedule.at(2) == near(0.5 * kPeak));
  CHECK(schedule.at(7) == near(0.5 * kPeak));
  CHECK(schedule.at(8) == near(0.25 * kPeak));
  CHECK(schedule.at(11) == near(0.25 * kPeak));
  CHECK(schedule_for("step:at=2").at(8) == near(0.1 * kPeak));
  const Schedule bounded = schedule_for("step:at=[0.5;2],factor=0.5,minimum=0.15");
  CHECK(bounded.at(2) == near(0.2));
  CHECK(bounded.at(8) == 0.15);
}

TEST_CASE("steps count from the start of training, warm-up included") {
  TrainOptions options = options_for("step:every=1,factor=0.5");
  options.warmup_steps = 2;
  const Schedule schedule = schedule_for(options);
  CHECK(schedule.at(0) == near(0.5 * kPeak));
  CHECK(schedule.at(2) == kPeak);
  CHECK(schedule.at(4) == near(0.5 * kPeak));
}

TEST_CASE("the minimum may come from its own option") {
  for (const std::string spec : {"cosine", "cosine:minimum=0.15", "step:every=1,factor=0.1"}) {
    CAPTURE(spec);
    TrainOptions options = options_for(spec);
    options.learning_rate_minimum = 0.15;
    CHECK(schedule_for(options).minimum == 0.15);
    CHECK(schedule_spec(options).real("minimum") == 0.15);
  }
}

TEST_CASE("warm-up longer than training, or given twice, is refused") {
  TrainOptions steps = options_for("cosine");
  steps.warmup_steps = 13;
  check_refused(steps, "warm-up steps '13' (13 steps) is more than the 12 steps of training");
  TrainOptions epochs = options_for("constant");
  epochs.warmup_epochs = 3.25;
  check_refused(epochs, "warm-up epochs '3.25' (13 steps) is more than the 12 steps of training");
  TrainOptions both = options_for("cosine");
  both.warmup_steps = 3;
  both.warmup_epochs = 2.5;
  check_refused(both, "warm-up steps is '3' and warm-up epochs '2.5'; give one of the two");
}

TEST_CASE("marks of a step that mean nothing are refused") {
  const std::string one_of_both =
      "': give one of every and at, as in step:every=30 or step:at=[30;60]";
  check_refused("step", "schedule 'step:every=0,factor=0.1,minimum=0" + one_of_both);
  check_refused("step:every=1,at=2",
                "schedule 'step:every=1,at=2,factor=0.1,minimum=0" + one_of_both);
  check_refused("step:at=[1;3]",
                "schedule 'step:every=0,at=[1;3],factor=0.1,minimum=0' lowers the rate at epoch 3 "
                "and training has 3 epochs; every mark must lie within them");
  check_refused("step:every=3.5",
                "schedule 'step:every=3.5,factor=0.1,minimum=0' lowers the rate at epoch 3.5 "
                "and training has 3 epochs; every mark must lie within them");
  for (const std::string marks : {"[2;1]", "[1;1]", "[1;1.01]"}) {
    check_refused("step:at=" + marks, "schedule 'step:every=0,at=" + marks +
                                          ",factor=0.1,minimum=0': the epochs of at must rise");
  }
  check_refused("step:at=[1;x]",
                "schedule 'step:every=0,at=[1;x],factor=0.1,minimum=0': at has 'x'; it must be "
                "epochs above 0, as in at=[30;60]");
}

TEST_CASE("a minimum above the peak, given twice or without use is refused") {
  check_refused("cosine:minimum=0.5",
                "schedule 'cosine:minimum=0.5,begin=warmup' has a minimum above the learning rate "
                "'0.4' that it comes from");
  check_refused("step:every=1,minimum=0.5",
                "schedule 'step:every=1,factor=0.1,minimum=0.5' has a minimum above the "
                "learning rate '0.4' that it comes from");
  TrainOptions twice = options_for("cosine:minimum=0.01");
  twice.learning_rate_minimum = 0.02;
  check_refused(
      twice,
      "minimum learning rate is '0.02' and schedule is 'cosine:minimum=0.01'; give one minimum");
  TrainOptions constant = options_for("constant");
  constant.learning_rate_minimum = 0.01;
  check_refused(constant,
                "schedule 'constant' has no minimum learning rate, and '0.01' was asked for");
}

}  // namespace
}  // namespace sbp::experiments
