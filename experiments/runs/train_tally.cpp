#include "experiments/runs/train_tally.h"

#include <iomanip>
#include <sstream>

#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

// Where each figure of the epoch in hand is stored.
template <typename Tally, typename Visit>
void visit_epoch(Tally& tally, Visit visit) {
  visit("epoch.samples", tally.samples);
  visit("epoch.loss_sum", tally.loss_sum);
  visit("epoch.learning_rate", tally.learning_rate);
  visit("epoch.seconds", tally.seconds);
  visit("epoch.data_wait_seconds", tally.data_wait_seconds);
  visit("epoch.traced_samples", tally.traced_samples);
  visit("epoch.traced_seconds", tally.apart_seconds);
}

template <typename Tally, typename Visit>
void visit_rows(Tally& tally, Visit visit) {
  for (std::size_t i = 0; i < tally.sums.size(); ++i) {
    visit(concat("kept_rows.", i, ".sum"), tally.sums[i]);
    visit(concat("kept_rows.", i, ".reported"), tally.reported[i]);
  }
}

template <typename Tally, typename Visit>
void visit_updates(Tally& tally, Visit visit) {
  visit("updates.any", tally.any);
  visit("updates.traced", tally.traced);
}

template <typename State, typename Visit>
void visit_loss_scale(State& state, Visit visit) {
  visit("loss_scaler.scale", state.scale);
  visit("loss_scaler.good_steps", state.good_steps);
  visit("loss_scaler.skipped_steps", state.skipped_steps);
}

// All are truths, counts below 2^53 or doubles, so that a double holds them exactly.
auto storing(NamedNumbers& scalars) {
  return [&scalars](const std::string& name, const auto& value) {
    scalars[name] = static_cast<double>(value);
  };
}

auto restoring(const NamedNumbers& scalars) {
  return [&scalars](const std::string& name, auto& value) {
    const auto found = scalars.find(name);
    if (found != scalars.end()) value = static_cast<std::decay_t<decltype(value)>>(found->second);
  };
}

}  // namespace

double EpochTally::samples_per_second() const {
  const std::int64_t untraced = samples - traced_samples;
  if (untraced == 0) return static_cast<double>(samples) / seconds;
  return static_cast<double>(untraced) / (seconds - apart_seconds);
}

void KeptRowTally::add(const std::vector<double>& kept) {
  sums.resize(kept.size());
  for (std::size_t i = 0; i < kept.size(); ++i) sums[i] += kept[i];
}

std::vector<double> KeptRowTally::means(std::int64_t steps) const {
  std::vector<double> means(reported.begin(), reported.end());
  for (std::size_t i = 0; i < means.size() && steps > 0; ++i) {
    means[i] = sums[i] / static_cast<double>(steps);
  }
  return means;
}

void store(const EpochTally& tally, NamedNumbers& scalars) {
  visit_epoch(tally, storing(scalars));
}
void store(const KeptRowTally& tally, NamedNumbers& scalars) {
  visit_rows(tally, storing(scalars));
}
void store(const UpdateTally& tally, NamedNumbers& scalars) {
  visit_updates(tally, storing(scalars));
}
void store(const LossScale& state, NamedNumbers& scalars) {
  visit_loss_scale(state, storing(scalars));
}
void restore(EpochTally& tally, const NamedNumbers& scalars) {
  visit_epoch(tally, restoring(scalars));
}
void restore(KeptRowTally& tally, const NamedNumbers& scalars) {
  visit_rows(tally, restoring(scalars));
}
void restore(UpdateTally& tally, const NamedNumbers& scalars) {
  visit_updates(tally, restoring(scalars));
}
void restore(LossScale& state, const NamedNumbers& scalars) {
  visit_loss_scale(state, restoring(scalars));
}

std::string epoch_line(const reports::EpochResult& result, std::int64_t peak_bytes) {
  std::ostringstream line;
  line << std::fixed << std::setprecision(4) << "epoch " << result.epoch << ": train loss "
       << result.train_loss;
  if (result.evaluation) {
    line << ", test loss " << result.evaluation->loss << ", top-1 " << result.evaluation->top1
         << ", top-5 " << result.evaluation->top5;
  }
  if (result.averaged_evaluation) {
    line << ", averaged loss " << result.averaged_evaluation->loss << ", top-1 "
         << result.averaged_evaluation->top1;
  }
  line << std::defaultfloat << ", learning rate " << result.learning_rate << std::fixed
       << std::setprecision(1) << ", " << result.samples_per_second << " samples/s, data wait "
       << result.data_wait_seconds << " s of " << result.seconds << " s";
  if (peak_bytes > 0) line << ", peak " << reports::bytes_text(peak_bytes);
  if (result.resident_bytes) {
    line << ", resident " << reports::bytes_text(*result.resident_bytes);
  }
  return line.str();
}

}  // namespace sbp::experiments
