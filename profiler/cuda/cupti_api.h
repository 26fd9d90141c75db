// The few functions of CUPTI that are used, behind an interface, so that tests can stand in for it
// and a build without CUPTI's headers has the same code.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "profiler/cuda/activity_records.h"

namespace sbp::profiler {

// CUPTI's own numbers; 0 is success.
using CuptiStatus = int;
inline constexpr CuptiStatus kCuptiSuccess = 0;
inline constexpr CuptiStatus kCuptiNotInitialized = 15;
inline constexpr CuptiStatus kCuptiNotPermitted = 35;
inline constexpr CuptiStatus kCuptiHasSubscriber = 39;
inline constexpr CuptiStatus kCuptiUnknown = 999;

// The external correlation kind that is ours: CUSTOM2. Kineto has CUSTOM0 and CUSTOM1.
inline constexpr std::uint32_t kOurExternalKind = 5;

// The driver's functions that give memory, by CUPTI's numbers. Libraries call them past the
// runtime, and only a call that is recorded carries a scope. Loading code is one: its variables are
// memory.
inline constexpr std::array<std::uint32_t, 14> kDriverAllocations{
    243,  // cuMemAlloc_v2
    244,  // cuMemAllocPitch_v2
    371,  // cuMemAllocManaged
    549,  // cuMemCreate
    598,  // cuMemAllocAsync
    599,  // cuMemAllocAsync_ptsz
    611,  // cuMemAllocFromPoolAsync
    612,  // cuMemAllocFromPoolAsync_ptsz
    18,   // cuModuleLoad
    19,   // cuModuleLoadData
    20,   // cuModuleLoadDataEx
    21,   // cuModuleLoadFatBinary
    678,  // cuLibraryLoadData
    679,  // cuLibraryLoadFromFile
};

class CuptiApi {
 public:
  // CUPTI calls these on any thread, and may hold locks of its own while it does. They must not
  // call CUPTI and must not throw.
  using RequestBuffer = void (*)(std::uint8_t** buffer, std::size_t* bytes,
                                 std::size_t* most_records);
  using CompleteBuffer = void (*)(void* context, std::uint32_t stream, std::uint8_t* buffer,
                                  std::size_t bytes, std::size_t valid_bytes);
  using Clock = std::uint64_t (*)();  // nanoseconds

  virtual ~CuptiApi() = default;

  // CUPTI_API_VERSION of the headers that the records' layout was checked against.
  virtual std::uint32_t header_version() const noexcept = 0;
  virtual CuptiStatus version(std::uint32_t& version) = 0;
  // With kCuptiHasSubscriber, `holder` becomes the name of the one that is there.
  virtual CuptiStatus subscribe(std::string& holder) = 0;
  virtual CuptiStatus unsubscribe() = 0;
  // Before any kind is enabled: records then have this clock's times.
  virtual CuptiStatus register_clock(Clock clock) = 0;
  virtual CuptiStatus register_buffers(RequestBuffer request, CompleteBuffer complete) = 0;
  virtual CuptiStatus enable(ActivityKind kind) = 0;
  virtual CuptiStatus disable(ActivityKind kind) = 0;
  // Records of one of the driver's functions, without those of all the others.
  virtual CuptiStatus record_driver_call(std::uint32_t callback_id, bool on) = 0;
  // Memory records name the library that asked.
  virtual CuptiStatus track_sources(bool on) = 0;
  // Hands out what is filled, all of it, before it returns; also buffers that are not full.
  virtual CuptiStatus flush() = 0;
  // Records lost in this context's stream since the last call.
  virtual CuptiStatus dropped_records(void* context, std::uint32_t stream,
                                      std::size_t& records) = 0;
  // The innermost id that this thread pushed goes with each call that it makes.
  virtual CuptiStatus push_external_id(std::uint64_t id) = 0;
  virtual CuptiStatus pop_external_id() = 0;
  virtual CuptiStatus timestamp(std::uint64_t& ns) = 0;
  // In CUPTI's words.
  virtual std::string describe(CuptiStatus status) = 0;
};

// The real CUPTI, loaded when asked for; or none, and why in a clause ("this build has none ...").
struct LoadedCupti {
  std::unique_ptr<CuptiApi> api;
  std::string reason;
};
LoadedCupti load_cupti(const char* library = "libcupti.so.13");

}  // namespace sbp::profiler
