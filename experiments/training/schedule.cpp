#include "experiments/training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "experiments/runs/catalogue.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::experiments {
namespace {

KeySchema rate(std::string key, std::string help) {
  return {.key = std::move(key),
          .kind = ValueKind::real,
          .default_value = "0",
          .help = std::move(help),
          .minimum = 0.0,
          .maximum = 1e6};
}

double number_of(const std::string& text, const std::string& spec) {
  double number = 0.0;
  if (parse_number(text, number) != std::errc() || !(number > 0.0) || number > 1e9) {
    throw UsageError(concat("schedule '", spec, "': at has '", text,
                            "'; it must be epochs above 0, as in at=[30;60]"));
  }
  return number;
}

std::int64_t steps_in(double epochs, const TrainingLength& length) {
  return std::llround(epochs * static_cast<double>(length.steps_per_epoch));
}

// Refuses a mark that would never be met.
void check_within(std::int64_t step, double epoch, const std::string& spec,
                  const TrainingLength& length) {
  if (step >= 1 && step < length.total_steps) return;
  throw UsageError(
      concat("schedule '", spec, "' lowers the rate at epoch ", epoch, " and training has ",
             static_cast<double>(length.total_steps) / static_cast<double>(length.steps_per_epoch),
             " epochs; every mark must lie within them"));
}

void read_drops(Schedule& schedule, const Spec& spec, const TrainingLength& length) {
  const std::string text = to_string(spec);
  const double every = spec.real("every");
  const std::string& at = spec.text("at");
  if ((every > 0.0) == !at.empty()) {
    throw UsageError(concat("schedule '", text,
                            "': give one of every and at, as in step:every=30 or step:at=[30;60]"));
  }
  schedule.factor = spec.real("factor");
  if (every > 0.0) {
    schedule.every_steps = steps_in(every, length);
    check_within(schedule.every_steps, every, text, length);
    return;
  }
  for (const std::string& item : parse_list(at)) {
    const double epoch = number_of(item, text);
    schedule.drops_at.push_back(steps_in(epoch, length));
    check_within(schedule.drops_at.back(), epoch, text, length);
  }
  if (std::ranges::adjacent_find(schedule.drops_at, std::greater_equal<>()) !=
      schedule.drops_at.end()) {
    throw UsageError(concat("schedule '", text, "': the epochs of at must rise"));
  }
}

std::int64_t warmup_steps(const TrainOptions& options, const TrainingLength& length) {
  if (options.warmup_steps > 0 && options.warmup_epochs > 0.0) {
    throw UsageError(concat("warm-up steps is '", options.warmup_steps, "' and warm-up epochs '",
                            options.warmup_epochs, "'; give one of the two"));
  }
  const bool by_epochs = options.warmup_epochs > 0.0;
  const std::int64_t steps =
      by_epochs ? steps_in(options.warmup_epochs, length) : options.warmup_steps;
  if (steps > length.total_steps) {
    throw UsageError(concat("warm-up ", by_epochs ? "epochs '" : "steps '",
                            by_epochs ? exact_text(options.warmup_epochs) : std::to_string(steps),
                            "' (", steps, " steps) is more than the ", length.total_steps,
                            " steps of training"));
  }
  return steps;
}

}  // namespace

const std::vector<SpecSchema>& schedule_schemas() {
  static const std::vector<SpecSchema> schemas = {
      {"cosine",
       "half a cosine from the peak down",
       {rate("minimum", "learning rate after the last step"),
        word_key("begin", {"warmup", "start"},
                 "warmup: at the end of warm-up; start: of training, the warm-up on top (timm)")}},
      {"step",
       "times a factor every so many epochs, or at given ones",
       {{.key = "every",
         .kind = ValueKind::real,
         .default_value = "0",
         .help = "epochs; 0: see at",
         .minimum = 0.0,
         .maximum = 1e9},
        {.key = "at", .default_value = "", .help = "epochs, as in [60;120;160]"},
        {.key = "factor",
         .kind = ValueKind::real,
         .default_value = "0.1",
         .help = "of the learning rate",
         .minimum = 0.0,
         .maximum = 1.0},
        rate("minimum", "learning rate that it does not fall below")}},
      {"constant", "the same all along", {}},
  };
  return schemas;
}

double Schedule::at(std::int64_t step) const {
  if (step < warmup_steps) {
    return warmup_start + (peak - warmup_start) * static_cast<double>(step + 1) /
                              static_cast<double>(warmup_steps);
  }
  if (kind == Kind::step) {
    const std::int64_t drops =
        every_steps > 0
            ? step / every_steps
            : std::ranges::count_if(drops_at, [step](std::int64_t from) { return step >= from; });
    return std::max(minimum, peak * std::pow(factor, static_cast<double>(drops)));
  }
  const std::int64_t begin = cosine_from_start ? 0 : warmup_steps;
  if (kind == Kind::constant || total_steps <= begin) return peak;
  const double progress =
      static_cast<double>(step - begin) / static_cast<double>(total_steps - begin);
  return minimum + 0.5 * (peak - minimum) * (1.0 + std::cos(std::numbers::pi * progress));
}

Spec schedule_spec(const TrainOptions& options) {
  Spec spec = parse_spec(options.schedule, "schedule", schedule_schemas());
  if (options.learning_rate_minimum == 0.0) return spec;
  for (auto& [key, value] : spec.values) {
    if (key != "minimum") continue;
    if (spec.real("minimum") != 0.0 && spec.real("minimum") != options.learning_rate_minimum) {
      throw UsageError(concat("minimum learning rate is '", options.learning_rate_minimum,
                              "' and schedule is '", options.schedule, "'; give one minimum"));
    }
    value = exact_text(options.learning_rate_minimum);
    return spec;
  }
  throw UsageError(concat("schedule '", spec.name, "' has no minimum learning rate, and '",
                          options.learning_rate_minimum, "' was asked for"));
}

Schedule make_schedule(const TrainOptions& options, double peak, const TrainingLength& length) {
  const Spec spec = schedule_spec(options);
  Schedule schedule;
  schedule.peak = peak;
  schedule.total_steps = length.total_steps;
  schedule.warmup_steps = warmup_steps(options, length);
  schedule.warmup_start = options.warmup_start;
  if (spec.name == "constant") {
    schedule.kind = Schedule::Kind::constant;
    return schedule;
  }
  schedule.minimum = spec.real("minimum");
  if (schedule.minimum > peak) {
    throw UsageError(concat("schedule '", to_string(spec),
                            "' has a minimum above the learning "
                            "rate '",
                            peak, "' that it comes from"));
  }
  if (spec.name == "step") {
    schedule.kind = Schedule::Kind::step;
    read_drops(schedule, spec, length);
  } else {
    schedule.cosine_from_start = spec.text("begin") == "start";
  }
  return schedule;
}

}  // namespace sbp::experiments
