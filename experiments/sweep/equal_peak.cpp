#include "experiments/sweep/equal_peak.h"

#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::sweep {
namespace {

constexpr std::int64_t kLargestBatch = 1'000'000;

std::vector<Setting> with(std::vector<Setting> options, const std::string& name,
                          const std::string& value) {
  set_option(options, name, value);
  return options;
}

// The largest batch for which `fits`, starting from one that is likely near; 0: none. `fits` holds
// up to some batch and not beyond it.
template <typename Fits>
std::int64_t largest_batch(std::int64_t start, Fits fits) {
  std::int64_t low = 0;
  std::int64_t high = start;
  while (high <= kLargestBatch && fits(high)) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace

void make_peaks_equal(const CommandOptions& command, Plan& plan, SweptCommand& swept,
                      const std::function<void(std::size_t done)>& advance) {
  std::size_t done = 0;
  for (PlannedPoint& point : plan.points) {
    const std::vector<Setting> baseline = with(point.options, "strategy", "full");
    if (option_of(command, point.options, "strategy") != "full") {
      const std::vector<std::string> words = words_of(command, baseline);
      const std::int64_t limit = swept.step_peak_bytes(words);
      const std::int64_t batch = largest_batch(swept.batch(words), [&](std::int64_t size) {
        const auto options = with(point.options, "batch", std::to_string(size));
        return swept.step_peak_bytes(words_of(command, options)) <= limit;
      });
      if (batch == 0) {
        throw UsageError(concat("point '", point_text(plan, point),
                                "': even a batch of 1 peaks above the ", reports::bytes_text(limit),
                                " of strategy 'full'"));
      }
      set_option(point.options, "batch", std::to_string(batch));
    }
    advance(++done);
  }
  identify(command, plan);
}

}  // namespace sbp::sweep
