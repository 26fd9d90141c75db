#include "experiments/sweep/equal_peak.h"

#include "profiler/predict/largest_batch.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::sweep {
namespace {

std::vector<Setting> with(std::vector<Setting> options, const std::string& name,
                          const std::string& value) {
  set_option(options, name, value);
  return options;
}

}  // namespace

void make_peaks_equal(const CommandOptions& command, Plan& plan, SweptCommand& swept,
                      const std::function<void(std::size_t done)>& advance) {
  std::size_t done = 0;
  for (PlannedPoint& point : plan.points) {
    const std::vector<Setting> baseline = with(point.options, "strategy", "full");
    if (option_of(command, point.options, "strategy") != "full") {
      const std::vector<std::string> words = words_of(command, baseline);
      const std::int64_t limit = swept.step_peak(words).bytes;
      const auto try_batch = [&](std::int64_t size) -> predict::BatchTrial {
        const auto options = with(point.options, "batch", std::to_string(size));
        const StepPeak peak = swept.step_peak(words_of(command, options));
        return {.fits = peak.bytes <= limit,
                .peak_bytes = peak.bytes,
                .hopeless = peak.least_bytes > limit};
      };
      const std::int64_t batch =
          predict::find_largest_batch(swept.batch(words), predict::kMostBatch, try_batch).batch;
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
