// Records what the CUDA driver allocates while it runs, through CUPTI.
//
// Without a driver, without CUPTI, or where another tool holds it, start() says so once, in a
// sentence, and from then on nothing here calls CUPTI: everything else works.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "profiler/cuda/activity_buffers.h"
#include "profiler/cuda/activity_records.h"
#include "profiler/cuda/cupti_api.h"

namespace sbp::profiler {

struct CuptiSourceOptions {
  ActivityBufferOptions buffers;
};

// Times are nanoseconds of std::chrono::steady_clock.
struct CuptiTrace {
  std::uint64_t start_ns = 0;           // when it began to record, and when it ended; both 0 when
  std::uint64_t end_ns = 0;             // nothing ran
  std::vector<Activity> records;        // in no order
  std::int64_t dropped_records = 0;     // lost by CUPTI, or with a buffer that had to be reused
  std::int64_t truncated_buffers = 0;   // ended inside a record
  std::int64_t unreadable_buffers = 0;  // held a kind of record that is not known
  std::int64_t failed_pushes = 0;       // scopes that no call can be attributed to
  std::string first_problem;            // a sentence; empty when nothing is missing

  bool complete() const { return first_problem.empty(); }
};

// At most one runs in a process, as CUPTI has one set of callbacks. start and stop are called by
// one thread at a time; push and pop by any.
class CuptiSource {
 public:
  // `api` outlives the source.
  explicit CuptiSource(CuptiApi& api, const CuptiSourceOptions& options = {});
  ~CuptiSource();
  CuptiSource(const CuptiSource&) = delete;
  CuptiSource& operator=(const CuptiSource&) = delete;

  // Begins to record. False if it cannot, and then never again: reason() has the sentence.
  bool start();
  bool is_running() const noexcept { return running_.load(std::memory_order_relaxed); }
  // Empty unless start() was false.
  const std::string& reason() const noexcept { return reason_; }

  // This thread enters and leaves a scope: the driver's work in it is found under `id`. Cheap and
  // without effect when nothing runs.
  void push(std::uint64_t id) noexcept;
  void pop() noexcept;

  // Ends recording and returns what was recorded; empty when nothing ran.
  CuptiTrace stop();

 private:
  bool check_version();
  bool subscribe();
  bool register_callbacks();
  bool enable_kinds();
  void enable_extras();
  bool refuse(const char* what, CuptiStatus status, const std::string& holder = {});
  void give_up(std::string reason);
  void disable_all();
  void undo();
  void count_dropped(CuptiTrace& trace);
  void decode_filled(CuptiTrace& trace);

  CuptiApi& api_;
  CuptiSourceOptions options_;
  std::unique_ptr<ActivityBuffers> buffers_;
  std::vector<ActivityKind> enabled_;
  std::vector<std::uint32_t> driver_calls_;  // that are recorded
  bool tracks_sources_ = false;
  std::string missing_extra_;  // a sentence; empty when none is missing
  bool subscribed_ = false;
  bool registered_ = false;
  bool client_clock_ = false;
  std::uint64_t start_ns_ = 0;
  std::atomic<bool> running_{false};
  std::atomic<std::int64_t> failed_pushes_{0};
  std::string reason_;
};

}  // namespace sbp::profiler
