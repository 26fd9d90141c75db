// Names of what a sweep's points tell: one list for JSON, tables and pages.
#pragma once

#include <array>
#include <string_view>

#include "reports/report.h"
#include "sbp/base/words.h"

namespace sbp::reports {

inline constexpr std::array<std::string_view, 5> kPointStatusWords = {
    "finished", "failed", "out_of_memory", "killed", "not_run"};

constexpr std::string_view to_string(PointStatus status) {
  return sbp::word_of(kPointStatusWords, status);
}

// Calls visit(name, member) for each figure, in the order of the struct. `figures`: PointFigures,
// const or not; a member is an optional whole number or an optional real.
template <typename Figures, typename Visit>
void each_figure(Figures& figures, Visit visit) {
  visit("batch", figures.batch);
  visit("effective_keep_ratio", figures.effective_keep_ratio);
  visit("peak_bytes", figures.peak_bytes);
  visit("device_peak_bytes", figures.device_peak_bytes);
  visit("capacity_bytes", figures.capacity_bytes);
  visit("fits", figures.fits);
  visit("largest_batch", figures.largest_batch);
  visit("transient_peak_bytes", figures.transient_peak_bytes);
  visit("saved_distinct_bytes", figures.saved_distinct_bytes);
  visit("saved_index_bytes", figures.saved_index_bytes);
  visit("train_loss", figures.train_loss);
  visit("test_loss", figures.test_loss);
  visit("top1", figures.top1);
  visit("top5", figures.top5);
  visit("cosine", figures.cosine);
  visit("mean_layer_cosine", figures.mean_layer_cosine);
  visit("minimum_layer_cosine", figures.minimum_layer_cosine);
  visit("local_cosine", figures.local_cosine);
  visit("update_cosine", figures.update_cosine);
  visit("relative_error", figures.relative_error);
  visit("norm_ratio", figures.norm_ratio);
  visit("sign_agreement", figures.sign_agreement);
  visit("noise_ratio", figures.noise_ratio);
  visit("step_seconds", figures.step_seconds);
  visit("samples_per_second", figures.samples_per_second);
}

}  // namespace sbp::reports
