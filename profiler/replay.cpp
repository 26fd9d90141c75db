#include "profiler/replay.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "profiler/timeline.h"
#include "profiler/totals.h"

namespace sbp::profiler {
namespace {

// The highest moment of each (phase, layer being computed).
class Moments {
 public:
  explicit Moments(std::size_t layer_count)
      : width_(layer_count + 1), highest_(width_ * kPhaseCount) {}

  void add(std::int64_t bytes, std::size_t record_index, Phase phase, LayerId layer) {
    Moment& highest =
        highest_[static_cast<std::size_t>(phase) * width_ + static_cast<std::size_t>(layer + 1)];
    if (highest.record_index >= 0 && bytes <= highest.bytes) return;
    highest = {bytes, static_cast<std::int64_t>(record_index), phase, layer};
  }

  // The first of the highest, `except` left out.
  Moment highest(const Moment* except = nullptr) const {
    Moment best;
    for (const Moment& moment : highest_) {
      if (moment.record_index < 0) continue;
      if (except != nullptr && moment.record_index == except->record_index) continue;
      const bool earlier = moment.bytes == best.bytes && moment.record_index < best.record_index;
      if (best.record_index < 0 || moment.bytes > best.bytes || earlier) best = moment;
    }
    return best;
  }

 private:
  std::size_t width_;
  std::vector<Moment> highest_;
};

// One row a phase, in order of first appearance.
class PhaseBooks {
 public:
  // The phase's row, its peak raised to `live_bytes` if that is more.
  PhaseMemory& row_of(Phase phase, std::int64_t live_bytes) {
    std::size_t& row = rows_[static_cast<std::size_t>(phase)];
    if (row == 0) {
      phases_.push_back({.phase = phase});
      row = phases_.size();
    }
    PhaseMemory& here = phases_[row - 1];
    here.peak_bytes = std::max(here.peak_bytes, live_bytes);
    return here;
  }

  std::vector<PhaseMemory> take() && { return std::move(phases_); }

 private:
  std::vector<PhaseMemory> phases_;
  std::array<std::size_t, kPhaseCount> rows_{};  // in phases_, from 1; 0: not met yet
};

class Replayer {
 public:
  Replayer(std::span<const Record> records, const Lifetimes& lifetimes,
           std::span<const Owner> owners, std::size_t layer_count, const LedgerOptions& options,
           Problems& problems)
      : records_(records),
        lifetimes_(lifetimes),
        owners_(owners),
        options_(options),
        problems_(problems),
        totals_(layer_count),
        recount_(lifetimes.blocks, owners, layer_count),
        moments_(layer_count),
        timeline_(lifetimes.allocate_events + lifetimes.free_events - lifetimes.unmatched_frees,
                  options.timeline_points),
        next_overwritten_(lifetimes.overwritten.begin()) {}

  Replay run(std::int64_t live_at_end_bytes) {
    for (index_ = 0; index_ < records_.size(); ++index_) take(records_[index_]);
    leave_phase();
    if (events_since_recount_ > 0) recount();
    if (totals_.live_bytes != live_at_end_bytes) {
      note("the books hold ", totals_.live_bytes, " bytes at the end of the trace, the allocator ",
           "counts ", live_at_end_bytes);
    }
    Replay result;
    result.peak = moments_.highest();
    result.runner_up = moments_.highest(&result.peak);
    result.phases = std::move(phases_).take();
    result.timeline = std::move(timeline_).take();
    result.recounts = recounts_;
    return result;
  }

 private:
  void take(const Record& record) {
    if (record.kind == RecordKind::phase) {
      enter_phase(record);
    } else {
      if (!in_phase_) enter(Phase::setup);
      if (lifetimes_.block_of_record[index_] != kNoBlock) take_event(record);
    }
  }

  void take_event(const Record& record) {
    const std::uint32_t block = lifetimes_.block_of_record[index_];
    const std::int64_t bytes = lifetimes_.blocks[block].bytes;
    if (record.kind == RecordKind::allocate) {
      end_overwritten();
      totals_.add(owners_[block], bytes);
      moments_.add(totals_.live_bytes, index_, phase_, owners_[block].born_in);
      if (index_ >= lifetimes_.older_records) {
        ++allocate_events_;
        allocated_bytes_ += bytes;
      }
      phase_peak_bytes_ = std::max(phase_peak_bytes_, totals_.live_bytes);
    } else {
      totals_.add(owners_[block], -bytes);
    }
    timeline_.add({record.time_ns, totals_.live_bytes, phase_});
    if (++events_since_recount_ == options_.recount_interval) recount();
  }

  void end_overwritten() {
    if (next_overwritten_ == lifetimes_.overwritten.end() || next_overwritten_->record != index_) {
      return;
    }
    const std::uint32_t block = next_overwritten_->block;
    totals_.add(owners_[block], -lifetimes_.blocks[block].bytes);
    ++next_overwritten_;
  }

  void recount() {
    events_since_recount_ = 0;
    ++recounts_;
    const std::size_t last = std::min(index_, records_.size() - 1);
    const Totals counted = recount_.after(static_cast<std::uint32_t>(last));
    if (counted != totals_) {
      note("a recount of the live blocks gives ", counted.live_bytes,
           " bytes, the running total is ", totals_.live_bytes,
           ", or they differ by category, layer or phase");
    }
  }

  void enter_phase(const Record& record) {
    if (record.detail >= kPhaseCount) return;  // already a problem of the first pass
    leave_phase();
    enter(static_cast<Phase>(record.detail));
    if (record.bytes != totals_.live_bytes) {
      note("the books hold ", totals_.live_bytes, " bytes when the phase '", to_string(phase_),
           "' begins, the allocator counts ", record.bytes);
    }
  }

  void enter(Phase phase) {
    in_phase_ = true;
    phase_ = phase;
    phase_peak_bytes_ = totals_.live_bytes;
    allocated_bytes_ = 0;
    allocate_events_ = 0;
  }

  void leave_phase() {
    if (!in_phase_) return;
    PhaseMemory& row = phases_.row_of(phase_, phase_peak_bytes_);
    row.live_at_end_bytes = totals_.live_bytes;
    row.allocated_bytes += allocated_bytes_;
    row.allocate_events += allocate_events_;
  }

  template <typename... Parts>
  void note(const Parts&... parts) {
    problems_.note(static_cast<std::int64_t>(index_), parts...);
  }

  std::span<const Record> records_;
  const Lifetimes& lifetimes_;
  std::span<const Owner> owners_;
  const LedgerOptions& options_;
  Problems& problems_;
  Totals totals_;
  Recount recount_;
  Moments moments_;
  PhaseBooks phases_;
  TimelineSampler timeline_;
  std::vector<Overwritten>::const_iterator next_overwritten_;
  std::size_t index_ = 0;
  std::int64_t events_since_recount_ = 0;
  std::int64_t recounts_ = 0;
  // Of the phase that the trace is in.
  bool in_phase_ = false;
  Phase phase_ = Phase::setup;
  std::int64_t phase_peak_bytes_ = 0;
  std::int64_t allocated_bytes_ = 0;
  std::int64_t allocate_events_ = 0;
};

}  // namespace

Replay replay(std::span<const Record> records, const Lifetimes& lifetimes,
              std::span<const Owner> owners, std::size_t layer_count,
              std::int64_t live_at_end_bytes, const LedgerOptions& options, Problems& problems) {
  return Replayer(records, lifetimes, owners, layer_count, options, problems)
      .run(live_at_end_bytes);
}

}  // namespace sbp::profiler
