#include "profiler/cuda/cupti_source.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <mutex>
#include <set>
#include <utility>

#include "profiler/cuda/activity_decoder.h"
#include "sbp/base/error.h"

namespace sbp::profiler {
namespace {

// Note [Callbacks]: CUPTI calls back without a context of ours, on any thread, and while it holds
// locks of its own. So the one running source's buffers stand in `target`, and `lock` guards both
// the pointer and the lists behind it. The callbacks take it; nobody holds it while calling CUPTI,
// because CUPTI may be waiting in a callback with its lock held. CUPTI keeps calling after a source
// stopped, as it does for as long as it holds buffers: they are then given and freed one by one.
constinit std::mutex lock;
constinit ActivityBuffers* target = nullptr;

constexpr std::size_t kStrayBytes = std::size_t{64} << 10;

void request_buffer(std::uint8_t** data, std::size_t* bytes, std::size_t* most_records) {
  const std::lock_guard guard(lock);
  ActivityBuffers::Buffer* buffer =
      target != nullptr ? target->take() : ActivityBuffers::make_buffer(kStrayBytes);
  *data = buffer != nullptr ? buffer->data() : nullptr;
  *bytes = buffer != nullptr ? buffer->bytes : 0;
  *most_records = 0;  // as many as fit
}

void complete_buffer(void* context, std::uint32_t stream, std::uint8_t* data, std::size_t,
                     std::size_t valid_bytes) {
  const std::lock_guard guard(lock);
  if (target != nullptr) {
    target->give(data, valid_bytes, context, stream);
  } else if (data != nullptr) {
    ActivityBuffers::free_buffer(ActivityBuffers::of_data(data));
  }
}

// The tracer's clock.
std::uint64_t steady_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

// How far CUPTI's own clock is ahead of ours; the tightest of a few looks.
std::uint64_t clock_difference(CuptiApi& api) {
  std::uint64_t best = 0;
  std::uint64_t best_width = ~std::uint64_t{0};
  for (int i = 0; i < 5; ++i) {
    const std::uint64_t before = steady_ns();
    std::uint64_t theirs = 0;
    if (api.timestamp(theirs) != kCuptiSuccess) return best;
    const std::uint64_t width = steady_ns() - before;
    if (width >= best_width) continue;
    best_width = width;
    best = theirs - (before + width / 2);
  }
  return best;
}

void shift_times(Activity& activity, std::uint64_t difference) {
  if (auto* api = std::get_if<ApiActivity>(&activity)) {
    api->start_ns -= difference;
    api->end_ns -= difference;
  } else if (auto* memory = std::get_if<MemoryActivity>(&activity)) {
    memory->time_ns -= difference;
  } else if (auto* pool = std::get_if<PoolActivity>(&activity)) {
    pool->time_ns -= difference;
  } else if (auto* overhead = std::get_if<OverheadActivity>(&activity)) {
    overhead->start_ns -= difference;
    overhead->end_ns -= difference;
  }
}

bool means_no_driver(CuptiStatus status) {
  return status == kCuptiUnknown || status == kCuptiNotInitialized;
}

void note_problem(CuptiTrace& trace, std::string sentence) {
  if (trace.first_problem.empty()) trace.first_problem = std::move(sentence);
}

// Open scopes of this thread: those that CUPTI was told of, and inside them those that it was not
// (none of what is inside a scope that it did not take). A scope must not take another's id away
// when it is left.
thread_local std::int64_t told_scopes = 0;
thread_local std::int64_t untold_scopes = 0;

}  // namespace

CuptiSource::CuptiSource(CuptiApi& api, const CuptiSourceOptions& options)
    : api_(api), options_(options) {}

CuptiSource::~CuptiSource() {
  if (is_running()) stop();
  const std::lock_guard guard(lock);
  if (target == buffers_.get()) target = nullptr;
}

void CuptiSource::give_up(std::string reason) {
  reason_ = std::move(reason);
  const std::lock_guard guard(lock);
  if (target == buffers_.get()) target = nullptr;
}

bool CuptiSource::refuse(const char* what, CuptiStatus status, const std::string& holder) {
  // Later, the same numbers are errors like any other: a driver did answer.
  if (!subscribed_ && means_no_driver(status)) {
    give_up(concat("CUPTI: no NVIDIA driver answers (status ", status,
                   "), so nothing beside PyTorch's own memory is seen"));
    return false;
  }
  std::string reason;
  if (status == kCuptiHasSubscriber) {
    reason = concat("CUPTI: another profiler ", holder.empty() ? "" : concat("('", holder, "') "),
                    "holds it; end that one to see memory beside PyTorch's own");
  } else {
    reason = concat("CUPTI: ", what, " failed with status ", status, " (", api_.describe(status),
                    "), so nothing beside PyTorch's own memory is seen");
  }
  undo();
  give_up(std::move(reason));
  return false;
}

// What fails here is of no consequence.
void CuptiSource::disable_all() {
  for (const ActivityKind kind : std::exchange(enabled_, {})) api_.disable(kind);
  for (const std::uint32_t call : std::exchange(driver_calls_, {})) {
    api_.record_driver_call(call, false);
  }
  if (std::exchange(tracks_sources_, false)) api_.track_sources(false);
}

// Leaves CUPTI to others.
void CuptiSource::undo() {
  disable_all();
  if (std::exchange(subscribed_, false)) api_.unsubscribe();
}

bool CuptiSource::check_version() {
  std::uint32_t version = 0;
  const CuptiStatus status = api_.version(version);
  if (status != kCuptiSuccess) return refuse("asking for its version", status);
  if (version == api_.header_version()) return true;
  give_up(concat("CUPTI: the library is of API version ", version,
                 ", this build reads the records of version ", api_.header_version(),
                 "; use the library of CUDA 13.0"));
  return false;
}

bool CuptiSource::subscribe() {
  std::string holder;
  const CuptiStatus status = api_.subscribe(holder);
  subscribed_ = status == kCuptiSuccess;
  return subscribed_ || refuse("subscribing", status, holder);
}

bool CuptiSource::register_callbacks() {
  if (!registered_) {
    // A record's time is then our clock's; where CUPTI will not have that, times are shifted.
    client_clock_ = api_.register_clock(&steady_ns) == kCuptiSuccess;
    const CuptiStatus status = api_.register_buffers(&request_buffer, &complete_buffer);
    if (status != kCuptiSuccess) return refuse("registering the buffers", status);
    registered_ = true;
  }
  if (buffers_ == nullptr) buffers_ = std::make_unique<ActivityBuffers>(options_.buffers);
  const std::lock_guard guard(lock);
  target = buffers_.get();
  return true;
}

bool CuptiSource::enable_kinds() {
  for (const ActivityKind kind :
       {ActivityKind::memory, ActivityKind::memory_pool, ActivityKind::runtime,
        ActivityKind::external_correlation, ActivityKind::overhead}) {
    const CuptiStatus status = api_.enable(kind);
    if (status != kCuptiSuccess) {
      return refuse(concat("enabling records of kind ", static_cast<std::uint32_t>(kind)).c_str(),
                    status);
    }
    enabled_.push_back(kind);
  }
  return true;
}

// Names and layers of some allocations hang on these, their bytes do not: without them the trace
// goes on and says so.
void CuptiSource::enable_extras() {
  missing_extra_.clear();
  const auto note = [&](CuptiStatus status, const char* what) {
    if (missing_extra_.empty()) {
      missing_extra_ = concat("CUPTI does not tell ", what, " (status ", status, ": ",
                              api_.describe(status), ")");
    }
  };
  const CuptiStatus sources = api_.track_sources(true);
  tracks_sources_ = sources == kCuptiSuccess;
  if (!tracks_sources_) note(sources, "which library asked for memory");
  for (const std::uint32_t call : kDriverAllocations) {
    const CuptiStatus status = api_.record_driver_call(call, true);
    if (status == kCuptiSuccess) {
      driver_calls_.push_back(call);
    } else {
      note(status, "for which layer the driver's own functions gave memory");
    }
  }
}

bool CuptiSource::start() {
  if (!reason_.empty()) return false;
  if (is_running()) return true;
  {
    const std::lock_guard guard(lock);
    if (target != nullptr) throw Error("starting a CUPTI trace: another one runs; stop it first");
  }
  failed_pushes_ = 0;
  if (!check_version() || !subscribe() || !register_callbacks()) return false;
  enable_extras();
  if (!enable_kinds()) return false;
  start_ns_ = steady_ns();
  running_ = true;
  return true;
}

void CuptiSource::push(std::uint64_t id) noexcept {
  const bool runs = is_running();
  if (runs && untold_scopes == 0 && api_.push_external_id(id) == kCuptiSuccess) {
    ++told_scopes;
    return;
  }
  if (runs) ++failed_pushes_;
  if (runs || told_scopes > 0) ++untold_scopes;
}

void CuptiSource::pop() noexcept {
  if (untold_scopes > 0) {
    --untold_scopes;
  } else if (told_scopes > 0) {
    --told_scopes;
    api_.pop_external_id();
  }
}

// CUPTI counts lost records by context and stream; those whose buffers came are asked for, and the
// process as a whole.
void CuptiSource::count_dropped(CuptiTrace& trace) {
  std::set<std::pair<void*, std::uint32_t>> streams{{nullptr, 0}};
  {
    const std::lock_guard guard(lock);
    buffers_->for_each_filled([&](const ActivityBuffers::Buffer& buffer) {
      streams.emplace(buffer.context, buffer.stream);
    });
    trace.dropped_records += buffers_->take_lost_records();
  }
  for (const auto& [context, stream] : streams) {
    std::size_t records = 0;
    if (api_.dropped_records(context, stream, records) == kCuptiSuccess) {
      trace.dropped_records += static_cast<std::int64_t>(records);
    }
  }
  if (trace.dropped_records > 0) {
    note_problem(trace, concat("CUPTI lost ", trace.dropped_records,
                               " records, so what PyTorch does not see is inexact"));
  }
}

void CuptiSource::decode_filled(CuptiTrace& trace) {
  const auto next = [&] {
    const std::lock_guard guard(lock);
    return buffers_->next_filled();
  };
  while (ActivityBuffers::Buffer* buffer = next()) {
    DecodedActivities decoded = decode_activities(buffer->valid(), PointedText::copy);
    std::move(decoded.records.begin(), decoded.records.end(), std::back_inserter(trace.records));
    if (decoded.truncated) {
      ++trace.truncated_buffers;
      note_problem(trace, concat("a buffer of CUPTI's ends inside a record, ",
                                 decoded.truncated->bytes_present, " bytes into it"));
    }
    if (decoded.unreadable) {
      ++trace.unreadable_buffers;
      note_problem(
          trace, concat("a buffer of CUPTI's holds a record of kind ", decoded.unreadable->kind,
                        ", after which ", decoded.unreadable->bytes_left, " bytes cannot be read"));
    }
    const std::lock_guard guard(lock);
    buffers_->put_back(buffer);
  }
}

CuptiTrace CuptiSource::stop() {
  CuptiTrace trace;
  if (!running_.exchange(false)) return trace;
  trace.start_ns = start_ns_;
  trace.end_ns = steady_ns();
  const std::uint64_t difference = client_clock_ ? 0 : clock_difference(api_);
  disable_all();
  const CuptiStatus flushed = api_.flush();
  if (flushed != kCuptiSuccess) {
    note_problem(trace, concat("CUPTI: flushing failed with status ", flushed, " (",
                               api_.describe(flushed), "), so records may be missing"));
  }
  count_dropped(trace);
  decode_filled(trace);
  undo();
  trace.failed_pushes = failed_pushes_;
  if (trace.failed_pushes > 0) {
    note_problem(trace, concat("CUPTI did not take ", trace.failed_pushes,
                               " scopes, whose calls are attributed to no layer or to one around "
                               "it"));
  }
  if (!missing_extra_.empty()) note_problem(trace, missing_extra_);
  if (difference != 0) {
    for (Activity& record : trace.records) shift_times(record, difference);
  }
  const std::lock_guard guard(lock);
  target = nullptr;
  buffers_.reset();  // those that CUPTI still holds are freed when they come
  return trace;
}

}  // namespace sbp::profiler
