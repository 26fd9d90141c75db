// A CUPTI that does as it is told: any status from any call, records when the test says so, and
// callbacks under a lock of its own, as CUPTI may.
#pragma once

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "profiler/cuda/cupti_api.h"

namespace sbp::tests {

class FakeCupti final : public profiler::CuptiApi {
 public:
  using Status = profiler::CuptiStatus;

  // What it holds goes back to whoever gave it.
  ~FakeCupti() override {
    for (const Held& held : held_) complete_(nullptr, 0, held.data, held.bytes, 0);
  }

  std::uint32_t headers = 130001;
  std::uint32_t library = 130001;
  std::map<std::string, Status> status;  // by call; not named: success
  std::string holder;
  std::size_t dropped = 0;         // handed out once
  std::uint64_t ahead_ns = 0;      // of the steady clock, by timestamp()
  std::vector<std::string> calls;  // that were made
  std::set<profiler::ActivityKind> enabled;
  std::set<std::uint32_t> driver_calls;  // that are recorded
  bool tracks_sources = false;
  std::map<std::thread::id, std::vector<std::uint64_t>> ids;
  bool stuck = false;  // a callback did not return while a call of ours was in CUPTI

  std::uint32_t header_version() const noexcept override { return headers; }
  Status version(std::uint32_t& version) override {
    version = library;
    return made("version");
  }
  Status subscribe(std::string& name) override {
    name = holder;
    return made("subscribe");
  }
  Status unsubscribe() override { return made("unsubscribe"); }
  Status register_clock(Clock clock) override {
    const Status result = made("register_clock");
    if (result == 0) clock_ = clock;
    return result;
  }
  Status register_buffers(RequestBuffer request, CompleteBuffer complete) override {
    request_ = request;
    complete_ = complete;
    return made("register_buffers");
  }
  Status enable(profiler::ActivityKind kind) override {
    const Status result = made("enable", kind);
    if (result == 0) enabled.insert(kind);
    return result;
  }
  Status disable(profiler::ActivityKind kind) override {
    enabled.erase(kind);
    return made("disable", kind);
  }
  Status record_driver_call(std::uint32_t callback_id, bool on) override {
    const Status result = made("record_driver_call");
    if (result == 0 && on) driver_calls.insert(callback_id);
    if (!on) driver_calls.erase(callback_id);
    return result;
  }
  Status track_sources(bool on) override {
    const Status result = made("track_sources");
    if (result == 0) tracks_sources = on;
    return result;
  }
  // Hands out what it holds while its lock is held, on another thread, and then waits for it.
  Status flush() override {
    const Status result = made("flush");
    const std::lock_guard guard(lock_);
    from_another_thread([this] {
      for (Held& held : std::exchange(held_, {})) {
        complete_(context, stream, held.data, held.bytes, held.valid);
      }
      std::uint8_t* data = nullptr;  // and asks for the next one
      std::size_t bytes = 0, most = 0;
      request_(&data, &bytes, &most);
      held_.push_back({data, bytes, 0});
    });
    return result;
  }
  Status dropped_records(void*, std::uint32_t, std::size_t& records) override {
    const Status result = made("dropped_records");
    const std::lock_guard guard(lock_);
    from_another_thread([this] { complete_(nullptr, 0, nullptr, 0, 0); });
    records = result == 0 ? std::exchange(dropped, 0) : 0;
    return result;
  }
  Status push_external_id(std::uint64_t id) override {
    const Status result = made("push");
    const std::lock_guard guard(ids_lock_);
    if (result == 0) ids[std::this_thread::get_id()].push_back(id);
    return result;
  }
  Status pop_external_id() override {
    const std::lock_guard guard(ids_lock_);
    auto& mine = ids[std::this_thread::get_id()];
    if (!mine.empty()) mine.pop_back();
    return made("pop");
  }
  Status timestamp(std::uint64_t& ns) override {
    ns = ahead_ns +
         static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    return made("timestamp");
  }
  std::string describe(Status status_asked) override {
    made("describe");
    return "words for " + std::to_string(status_asked);
  }

  // A buffer is asked for and filled; it is handed out at once, or with the next flush.
  enum class Hand { at_once, with_flush };
  // The size of the buffer that was got.
  std::size_t fill(std::span<const std::byte> records, Hand hand = Hand::at_once) {
    const std::lock_guard guard(lock_);
    std::uint8_t* data = nullptr;
    std::size_t bytes = 0, most = 7;
    request_(&data, &bytes, &most);
    if (data == nullptr) return 0;
    const std::size_t valid = std::min(records.size(), bytes);
    std::copy_n(reinterpret_cast<const std::uint8_t*>(records.data()), valid, data);
    if (hand == Hand::at_once) {
      complete_(context, stream, data, bytes, valid);
    } else {
      held_.push_back({data, bytes, valid});
    }
    return bytes;
  }

  std::uint64_t clock_now() const { return clock_ != nullptr ? clock_() : 0; }
  std::int64_t count(const std::string& call) const {
    return std::count(calls.begin(), calls.end(), call);
  }

  void* context = nullptr;
  std::uint32_t stream = 0;

 private:
  struct Held {
    std::uint8_t* data;
    std::size_t bytes;
    std::size_t valid;
  };

  Status made(const std::string& call) {
    const std::lock_guard guard(ids_lock_calls_);
    calls.push_back(call);
    const auto found = status.find(call);
    return found == status.end() ? 0 : found->second;
  }
  Status made(const std::string& call, profiler::ActivityKind kind) {
    const Status any = made(call);
    const auto found = status.find(call + " " + std::to_string(static_cast<std::uint32_t>(kind)));
    return found == status.end() ? any : found->second;
  }

  // A callback that waits for a lock which our caller holds would never return.
  template <typename Callback>
  void from_another_thread(Callback callback) {
    auto done = std::make_shared<std::promise<void>>();
    std::future<void> finished = done->get_future();
    std::thread thread([callback, done] {
      callback();
      done->set_value();
    });
    if (finished.wait_for(std::chrono::seconds(20)) == std::future_status::ready) {
      thread.join();
    } else {
      stuck = true;
      thread.detach();
    }
  }

  std::mutex lock_;
  std::mutex ids_lock_;
  std::mutex ids_lock_calls_;
  RequestBuffer request_ = nullptr;
  CompleteBuffer complete_ = nullptr;
  Clock clock_ = nullptr;
  std::vector<Held> held_;
};

}  // namespace sbp::tests
