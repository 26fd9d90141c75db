#include "reports/json_prediction_check.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace sbp::reports {
namespace {

using predict::Prediction;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
// More than any card has, and less than a sum that is too large for 64 bits ends at.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 62;

// Overheads that are in no block of the allocator.
constexpr std::array<std::string_view, 4> kBesideBlocks = {"cached", "context", "kernel_code",
                                                           "library_handles"};

class Sum {
 public:
  void add(std::int64_t bytes) { bytes_ = bytes > kLargest - bytes_ ? kLargest : bytes_ + bytes; }
  std::int64_t bytes() const { return bytes_; }

 private:
  std::int64_t bytes_ = 0;
};

struct Sums {
  Sum requested, blocks;  // of the layers
  Sum block_overheads, all;
  std::int64_t rounding_bytes = 0;
  std::int64_t cached_bytes = 0;
};

Sums sums_of(const Prediction& prediction) {
  Sums sums;
  for (const predict::LayerBytes& layer : prediction.layers) {
    sums.requested.add(layer.requested_bytes);
    sums.blocks.add(layer.block_bytes);
  }
  sums.all = sums.requested;
  for (const auto& [name, bytes] : prediction.overheads) {
    sums.all.add(bytes);
    if (std::ranges::find(kBesideBlocks, name) == kBesideBlocks.end()) {
      sums.block_overheads.add(bytes);
    }
    if (name == "rounding") sums.rounding_bytes = bytes;
    if (name == "cached") sums.cached_bytes = bytes;
  }
  return sums;
}

void check_layer(const Node& node, const predict::LayerBytes& layer) {
  Sum categories;
  for (const std::int64_t bytes : layer.categories) {
    if (bytes < 0) node["categories"].fail(concat("has ", bytes, "; none may be negative"));
    categories.add(bytes);
  }
  if (categories.bytes() != layer.requested_bytes) {
    node["requested_bytes"].fail(
        concat("is ", layer.requested_bytes, ", and its categories sum to ", categories.bytes()));
  }
  if (layer.block_bytes < layer.requested_bytes) {
    node["block_bytes"].fail(
        concat("is ", layer.block_bytes, ", less than requested_bytes, ", layer.requested_bytes));
  }
}

// Each peak holds the one before it.
void check_order(const Node& node, const Prediction& prediction) {
  const std::array<std::pair<const char*, std::int64_t>, 4> peaks = {
      {{"peak_requested_bytes", prediction.peak_requested_bytes},
       {"peak_allocated_bytes", prediction.peak_allocated_bytes},
       {"peak_reserved_bytes", prediction.peak_reserved_bytes},
       {"peak_device_bytes", prediction.peak_device_bytes}}};
  if (peaks.back().second > kMostBytes) {
    node["peak_device_bytes"].fail(concat("is ", peaks.back().second, ", more than any card has"));
  }
  for (std::size_t i = 1; i < peaks.size(); ++i) {
    const auto& [name, bytes] = peaks[i];
    const auto& [part, part_bytes] = peaks[i - 1];
    if (bytes < part_bytes) {
      node[name].fail(concat("is ", bytes, ", less than ", part, ", ", part_bytes));
    }
  }
  if (prediction.peak_device_bytes == 0)
    node["peak_device_bytes"].fail("is 0, and a run takes some");
}

void check_sums(const Node& node, const Prediction& prediction) {
  const Sums sums = sums_of(prediction);
  const auto require = [&](const char* name, std::int64_t told, const char* parts,
                           std::int64_t sum) {
    if (told == sum) return;
    node[name].fail(concat("is ", told, ", and ", parts, " sum to ", sum));
  };
  Sum allocated = sums.requested;
  allocated.add(sums.block_overheads.bytes());
  Sum reserved = allocated;
  reserved.add(sums.cached_bytes);
  require("peak_device_bytes", prediction.peak_device_bytes, "layers and overheads",
          sums.all.bytes());
  require("peak_allocated_bytes", prediction.peak_allocated_bytes,
          "layers and the overheads in blocks", allocated.bytes());
  require("peak_reserved_bytes", prediction.peak_reserved_bytes,
          "layers, the overheads in blocks and cached", reserved.bytes());
  // Both as they were when allocated bytes peaked; requested bytes may peak at another moment.
  const std::int64_t then_bytes = prediction.peak_allocated_bytes - sums.rounding_bytes;
  if (prediction.peak_requested_bytes < then_bytes) {
    node["peak_requested_bytes"].fail(concat("is ", prediction.peak_requested_bytes,
                                             ", less than is asked for when blocks peak, ",
                                             then_bytes));
  }
  const std::int64_t layer_rounding_bytes = sums.blocks.bytes() - sums.requested.bytes();
  if (layer_rounding_bytes > sums.rounding_bytes) {
    node["overheads"]["rounding"].fail(concat("is ", sums.rounding_bytes,
                                              ", and the layers' blocks alone are ",
                                              layer_rounding_bytes, " over what was asked for"));
  }
}

void check_moment(const Node& node, const predict::Moment& moment, std::int64_t steps) {
  if (moment.step > steps) node["step"].fail(concat("is ", moment.step, " of ", steps));
}

void check_fit(const Node& node, const predict::Fit& fit, const Prediction& prediction) {
  if (fit.fits == fit.failed_at.has_value()) {
    node["failed_at"].fail(fit.fits ? "is a moment, and it fits" : "is null, and it does not fit");
  }
  if (fit.failed_at) check_moment(node["failed_at"], *fit.failed_at, prediction.steps);
  if (!fit.fits) return;
  if (fit.peak_device_bytes != prediction.peak_device_bytes) {
    node["peak_device_bytes"].fail(concat("is ", fit.peak_device_bytes,
                                          ", and the prediction's is ",
                                          prediction.peak_device_bytes, ", though it fits"));
  }
  if (fit.peak_device_bytes > fit.capacity_bytes) {
    node["capacity_bytes"].fail(concat("is ", fit.capacity_bytes, ", less than peak_device_bytes, ",
                                       fit.peak_device_bytes, ", though it fits"));
  }
}

// A share of runs, or how far predictions were off; none is endless.
void check_accuracy(const Node& node, const predict::Accuracy& accuracy) {
  const auto require = [&](bool right, const char* name, const char* what) {
    if (!right) node[name].fail(concat("is ", node[name].real(), "; ", what));
  };
  require(accuracy.median_error >= 0, "median_error", "an error is not negative");
  require(accuracy.ninetieth_percentile_error >= accuracy.median_error,
          "ninetieth_percentile_error", "it is at least median_error");
  require(accuracy.worst_error >= accuracy.ninetieth_percentile_error, "worst_error",
          "it is at least ninetieth_percentile_error");
  require(accuracy.under_estimate_rate >= 0 && accuracy.under_estimate_rate <= 1,
          "under_estimate_rate", "a rate is from 0 to 1");
  require(accuracy.under_by_5_percent_rate >= 0 &&
              accuracy.under_by_5_percent_rate <= accuracy.under_estimate_rate,
          "under_by_5_percent_rate", "it is from 0 to under_estimate_rate");
  require(accuracy.lowest_ratio >= 0, "lowest_ratio", "a ratio of sizes is not negative");
  require(accuracy.highest_ratio >= accuracy.lowest_ratio, "highest_ratio",
          "it is at least lowest_ratio");
}

}  // namespace

void check_prediction(const Node& node, const Prediction& prediction) {
  if (prediction.steps < 1) node["steps"].fail(concat("is ", prediction.steps, ", not 1 or more"));
  const std::vector<Node> layers = node["layers"].elements();
  for (std::size_t i = 0; i < layers.size(); ++i) check_layer(layers[i], prediction.layers[i]);
  check_order(node, prediction);
  check_sums(node, prediction);
  const auto& [low_bytes, high_bytes] = prediction.interval;
  if (low_bytes > high_bytes) {
    node["interval_bytes"].fail(concat("goes from ", low_bytes, " down to ", high_bytes));
  }
  if (prediction.accuracy.runs > 0 &&
      (prediction.peak_device_bytes < low_bytes || prediction.peak_device_bytes > high_bytes)) {
    node["interval_bytes"].fail(
        concat("leaves out peak_device_bytes, ", prediction.peak_device_bytes));
  }
  check_accuracy(node["accuracy"], prediction.accuracy);
  check_moment(node["allocated_peak"], prediction.allocated_peak, prediction.steps);
  check_moment(node["reserved_peak"], prediction.reserved_peak, prediction.steps);
  if (prediction.fits) check_fit(node["fits"], *prediction.fits, prediction);
  if (!prediction.largest_batch) return;
  const auto& [batch, bytes, cautious_batch, bound, or_more] = *prediction.largest_batch;
  if ((batch == 0) != (bytes == 0)) {
    node["largest_batch"]["peak_device_bytes"].fail(
        concat("is ", bytes, ", and the largest batch is ", batch));
  }
  if (bound && *bound <= batch) {
    node["largest_batch"]["bound"].fail(concat("is ", *bound, ", and a batch of ", batch, " fits"));
  }
  if (cautious_batch && *cautious_batch > batch) {
    node["largest_batch"]["cautious_batch"].fail(
        concat("is ", *cautious_batch, ", more than batch, ", batch));
  }
  if (or_more && bound) node["largest_batch"]["bound"].fail("is a number beside or_more");
  if (prediction.fits && bytes > prediction.fits->capacity_bytes) {
    node["largest_batch"]["peak_device_bytes"].fail(
        concat("is ", bytes, ", more than fits.capacity_bytes, ", prediction.fits->capacity_bytes));
  }
}

}  // namespace sbp::reports
