#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include "reports/json.h"
#include "sbp/base/error.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

// Of a small network, by sbp-profile --blocks --largest-batch.
const PredictionReport& sample() {
  static const PredictionReport report = [] {
    std::ifstream file(std::string(SBP_SOURCE_DIR) + "/tests/fuzz/corpus/report/prediction");
    const std::string json{std::istreambuf_iterator<char>(file), {}};
    return std::get<PredictionReport>(parse_report(json, "prediction"));
  }();
  return report;
}

// What is said of the sample after `change(report)`; empty: it is read.
template <typename Change>
std::string complaint(Change change) {
  PredictionReport report = sample();
  change(report);
  try {
    (void)parse_report(to_json(report), "run.json");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::failed);
    const std::string start = "cannot read report 'run.json': ";
    const std::string sentence = error.what();
    CHECK(sentence.starts_with(start));
    return sentence.substr(start.size());
  }
  return {};
}

template <typename Change>
std::string refused(Change change) {
  return complaint([&](PredictionReport& report) { change(report.prediction); });
}

using predict::Prediction;

}  // namespace

TEST_CASE("a prediction comes back as it was") {
  const AnyReport again = parse_report(to_json(sample()), "run.json");
  CHECK(std::get<PredictionReport>(again) == sample());
}

TEST_CASE("a prediction whose parts do not sum to its peaks is refused") {
  CHECK(refused([](Prediction& p) { p.peak_device_bytes = 5; }) ==
        "prediction.peak_device_bytes is 5, less than peak_reserved_bytes, 23068672");
  CHECK(refused([](Prediction& p) { ++p.peak_device_bytes; }) ==
        "prediction.peak_device_bytes is 310116353, and layers and overheads sum to 310116352");
  CHECK(refused([](Prediction& p) { p.overheads.pop_back(); }) == "");  // 0 of library_handles
  CHECK(refused([](Prediction& p) { p.overheads[3].bytes = 1; }) ==
        "prediction.peak_device_bytes is 310116352, and layers and overheads sum to 23068673");
  CHECK(refused([](Prediction& p) { ++p.peak_reserved_bytes; }) ==
        "prediction.peak_reserved_bytes is 23068673, and layers, the overheads in blocks and "
        "cached sum to 23068672");
  CHECK(refused([](Prediction& p) { --p.peak_allocated_bytes; }) ==
        "prediction.peak_allocated_bytes is 17054207, and layers and the overheads in blocks sum "
        "to 17054208");
  CHECK(refused([](Prediction& p) { p.peak_requested_bytes -= 81; }) ==
        "prediction.peak_requested_bytes is 17044103, less than is asked for when blocks peak, "
        "17044104");
}

TEST_CASE("a prediction's layers are made of their categories and lie in their blocks") {
  CHECK(refused([](Prediction& p) { p.layers[2].requested_bytes = 7; }) ==
        "prediction.layers[2].requested_bytes is 7, and its categories sum to 3136");
  CHECK(refused([](Prediction& p) { p.layers[2].categories[0] -= 4000; }).find("negative") !=
        std::string::npos);
  CHECK(refused([](Prediction& p) { p.layers[2].block_bytes = 3135; }) ==
        "prediction.layers[2].block_bytes is 3135, less than requested_bytes, 3136");
  CHECK(refused([](Prediction& p) { p.layers[2].block_bytes += 1000; }) ==
        "prediction.overheads.rounding is 10104, and the layers' blocks alone are 11104 over what "
        "was asked for");
  // Sums that 64 bits do not hold.
  constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
  CHECK(refused([](Prediction& p) {
          for (predict::LayerBytes& layer : p.layers) {
            layer.requested_bytes = layer.block_bytes = kLargest;
            layer.categories = {kLargest};
          }
          p.peak_requested_bytes = p.peak_allocated_bytes = p.peak_reserved_bytes = kLargest;
          p.peak_device_bytes = kLargest;
        }) == "prediction.peak_device_bytes is 9223372036854775807, more than any card has");
}

TEST_CASE("a prediction's sizes and numbers are none below 0") {
  const std::string end = "; it must not be negative";
  CHECK(refused([](Prediction& p) { p.peak_requested_bytes = -1; }) ==
        "prediction.peak_requested_bytes is -1" + end);
  CHECK(refused([](Prediction& p) { p.fits->capacity_bytes = -7; }) ==
        "prediction.fits.capacity_bytes is -7" + end);
  CHECK(refused([](Prediction& p) { p.largest_batch->batch = -3; }) ==
        "prediction.largest_batch.batch is -3" + end);
  CHECK(refused([](Prediction& p) { p.overheads[2].bytes = -2; }) ==
        "prediction.overheads.cached is -2" + end);
  CHECK(refused([](Prediction& p) { p.interval.low_bytes = -1; }) ==
        "prediction.interval_bytes[0] is -1" + end);
  CHECK(refused([](Prediction& p) { p.layers[3].saved.distinct_bytes = -1; }) ==
        "prediction.layers[3].saved_distinct_bytes is -1" + end);
  CHECK(refused([](Prediction& p) { p.requests = -1; }) == "prediction.requests is -1" + end);
  CHECK(refused([](Prediction& p) { p.steps = 0; }) == "prediction.steps is 0, not 1 or more");
  CHECK(refused([](Prediction& p) { p.allocated_peak.step = 2; }) ==
        "prediction.allocated_peak.step is 2 of 1");
  CHECK(complaint([](PredictionReport& r) { r.saved.logical_bytes = -1; }) ==
        "saved.logical_bytes is -1" + end);
  CHECK(complaint([](PredictionReport& r) { r.model.parameter_bytes = -1; }) ==
        "model.parameter_bytes is -1" + end);
  CHECK(complaint([](PredictionReport& r) { r.seconds = -0.5; }) == "seconds must not be negative");
}

TEST_CASE("what a prediction says of the card does not contradict it") {
  CHECK(refused([](Prediction& p) {
          p.interval = {9, 8};
        }) == "prediction.interval_bytes goes from 9 down to 8");
  CHECK(refused([](Prediction& p) { p.fits->peak_device_bytes = 5; }) ==
        "prediction.fits.peak_device_bytes is 5, and the prediction's is 310116352, though it "
        "fits");
  CHECK(refused([](Prediction& p) { p.fits->capacity_bytes = 5; }) ==
        "prediction.fits.capacity_bytes is 5, less than peak_device_bytes, 310116352, though it "
        "fits");
  CHECK(refused([](Prediction& p) { p.fits->fits = false; }) ==
        "prediction.fits.failed_at is null, and it does not fit");
  CHECK(refused([](Prediction& p) { p.fits->failed_at = predict::Moment{}; }) ==
        "prediction.fits.failed_at is a moment, and it fits");
  CHECK(refused([](Prediction& p) { p.largest_batch->peak_device_bytes = 0; }) ==
        "prediction.largest_batch.peak_device_bytes is 0, and the largest batch is 1000000");
  CHECK(refused([](Prediction& p) { p.largest_batch->peak_device_bytes = 90'000'000'000; }) ==
        "prediction.largest_batch.peak_device_bytes is 90000000000, more than "
        "fits.capacity_bytes, 85899345920");
}

TEST_CASE("a prediction's figures of errors are shares of runs, in order") {
  CHECK(refused([](Prediction& p) { p.accuracy.under_estimate_rate = 1.5; }) ==
        "prediction.accuracy.under_estimate_rate is 1.5; a rate is from 0 to 1");
  CHECK(refused([](Prediction& p) { p.accuracy.median_error = -0.25; }) ==
        "prediction.accuracy.median_error is -0.25; an error is not negative");
  CHECK(refused([](Prediction& p) { p.accuracy.worst_error = 0; }).find("worst_error is 0") !=
        std::string::npos);
  CHECK(refused([](Prediction& p) { p.accuracy.highest_ratio = 0.5; }) ==
        "prediction.accuracy.highest_ratio is 0.5; it is at least lowest_ratio");
  CHECK(refused([](Prediction& p) { p.accuracy.runs = -1; }) ==
        "prediction.accuracy.runs is -1; it must not be negative");
}
