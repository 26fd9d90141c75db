#include "profiler/predict/predict.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "profiler/predict/accuracy.h"
#include "profiler/predict/replay.h"

namespace sbp::predict {
namespace {

// Of the process, beside the caching allocator.
std::int64_t outside_bytes(const DeviceProfile& device) {
  return device.context_bytes + device.kernel_code_bytes + device.library_bytes;
}

AllocatorOptions limited(AllocatorOptions options, const DeviceProfile& device) {
  // Of a card that holds not even the context nothing is left: the first block asked for fails.
  options.limit_bytes = std::max<std::int64_t>(device.memory_bytes - outside_bytes(device), 1);
  options.device_total_bytes = device.memory_bytes;
  return options;
}

Fit fit_of(const ReplayResult& replayed, const DeviceProfile& device) {
  Fit result;
  result.capacity_bytes = device.memory_bytes;
  result.fits = replayed.completed;
  result.peak_device_bytes = replayed.peak_reserved_bytes + outside_bytes(device);
  result.retries = replayed.retries;
  if (!replayed.completed) {
    result.failed_at = replayed.failed_at;
    result.failed_bytes = replayed.failed_bytes;
  }
  return result;
}

// Every byte of the card at the peak that no layer owns.
std::vector<NamedBytes> overheads_of(const Composition& composition, const ReplayResult& replayed,
                                     const DeviceProfile& device) {
  std::vector<NamedBytes> overheads;
  for (const NamedBytes& kept : composition.kept) {
    const auto same = std::ranges::find(overheads, kept.name, &NamedBytes::name);
    if (same == overheads.end()) {
      overheads.push_back(kept);
    } else {
      same->bytes += kept.bytes;
    }
  }
  overheads.push_back({"rounding", composition.rounding_bytes});
  overheads.push_back({"cached", replayed.peak_reserved_bytes - replayed.peak_allocated_bytes});
  overheads.push_back({"context", device.context_bytes});
  overheads.push_back({"kernel_code", device.kernel_code_bytes});
  overheads.push_back({"library_handles", device.library_bytes});
  return overheads;
}

// The readings that `accuracy` is of tell nothing of what lies outside the allocator.
Interval interval_around(std::int64_t reserved_bytes, std::int64_t outside,
                         const Accuracy& accuracy) {
  const auto scaled = [&](double ratio) {
    return outside +
           static_cast<std::int64_t>(std::llround(static_cast<double>(reserved_bytes) * ratio));
  };
  return {scaled(accuracy.lowest_ratio), scaled(accuracy.highest_ratio)};
}

}  // namespace

Prediction predict(const Workload& workload, const DeviceProfile& device,
                   const AllocatorOptions& allocator, bool with_blocks) {
  Prediction prediction;
  prediction.device = to_string(device);
  prediction.allocator = to_string(allocator);
  prediction.steps = workload.steps;
  AllocatorOptions options = limited(allocator, device);
  ReplayResult replayed = replay(workload, device, options);
  prediction.fits = fit_of(replayed, device);
  if (!replayed.completed) {
    options.limit_bytes.reset();
    replayed = replay(workload, device, options);
  }
  prediction.peak_requested_bytes = replayed.peak_requested_bytes;
  prediction.peak_allocated_bytes = replayed.peak_allocated_bytes;
  prediction.peak_reserved_bytes = replayed.peak_reserved_bytes;
  prediction.peak_device_bytes = replayed.peak_reserved_bytes + outside_bytes(device);
  prediction.allocated_peak = replayed.allocated_peak;
  prediction.reserved_peak = replayed.reserved_peak;
  prediction.segments = replayed.segments;
  prediction.device_allocations = replayed.device_allocations;
  prediction.requests = replayed.requests;
  Composition composition =
      composition_at(replayed.allocated_peak_request, workload, device, options);
  prediction.overheads = overheads_of(composition, replayed, device);
  prediction.layers = std::move(composition.layers);
  if (with_blocks) replay(workload, device, options, &prediction.blocks.emplace());
  prediction.accuracy = measured_accuracy();
  prediction.interval =
      interval_around(prediction.peak_reserved_bytes, outside_bytes(device), prediction.accuracy);
  return prediction;
}

BatchTrials try_batch(const Workload& workload, const DeviceProfile& device,
                      const AllocatorOptions& allocator) {
  const std::int64_t outside = outside_bytes(device);
  const std::int64_t tensors = peak_tensor_bytes(workload);
  const Accuracy accuracy = measured_accuracy();
  BatchTrials trials;
  trials.cautious.hopeless =
      interval_around(tensors, outside, accuracy).high_bytes > device.memory_bytes;
  const AllocatorOptions options = limited(allocator, device);
  trials.plain.hopeless = tensors > *options.limit_bytes;
  if (trials.plain.hopeless) return trials;
  const Fit fit = fit_of(replay(workload, device, options), device);
  const std::int64_t high =
      interval_around(fit.peak_device_bytes - outside, outside, accuracy).high_bytes;
  trials.plain.fits = fit.fits;
  trials.plain.peak_bytes = fit.peak_device_bytes;
  trials.cautious.fits = fit.fits && high <= device.memory_bytes;
  trials.cautious.peak_bytes = high;
  return trials;
}

}  // namespace sbp::predict
