// Where CUPTI 13.0 (API version 130001) puts the fields of its activity records: bytes from the
// record's start. activity_layout_check.cpp holds each against CUPTI's own header, where there is
// one. All numbers are little-endian, and no record is padded at its end.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sbp::profiler::layout {

inline constexpr std::size_t kKind = 0;  // of every record, 4 bytes

namespace external {
inline constexpr std::size_t kBytes = 24;
inline constexpr std::size_t kExternalKind = 4;
inline constexpr std::size_t kExternalId = 8;  // 8 bytes
inline constexpr std::size_t kCorrelationId = 16;
inline constexpr std::size_t kReserved = 20;
}  // namespace external

namespace api {
inline constexpr std::size_t kBytes = 40;
inline constexpr std::size_t kCallbackId = 4;
inline constexpr std::size_t kStart = 8;  // 8 bytes
inline constexpr std::size_t kEnd = 16;   // 8 bytes
inline constexpr std::size_t kProcessId = 24;
inline constexpr std::size_t kThreadId = 28;
inline constexpr std::size_t kCorrelationId = 32;
inline constexpr std::size_t kReturnValue = 36;
}  // namespace api

namespace memory {
inline constexpr std::size_t kBytes = 128;
inline constexpr std::size_t kOperation = 4;
inline constexpr std::size_t kMemoryKind = 8;
inline constexpr std::size_t kCorrelationId = 12;
inline constexpr std::size_t kAddress = 16;  // 8 bytes, like the next three
inline constexpr std::size_t kSize = 24;
inline constexpr std::size_t kTimestamp = 32;
inline constexpr std::size_t kProgramCounter = 40;
inline constexpr std::size_t kProcessId = 48;
inline constexpr std::size_t kDeviceId = 52;
inline constexpr std::size_t kContextId = 56;
inline constexpr std::size_t kStreamId = 60;
inline constexpr std::size_t kName = 64;  // a pointer
inline constexpr std::size_t kIsAsync = 72;
inline constexpr std::size_t kPoolType = 80;
inline constexpr std::size_t kPoolAddress = 88;  // 8 bytes, like the next three
inline constexpr std::size_t kPoolReleaseThreshold = 96;
inline constexpr std::size_t kPoolSizeOrProcess = 104;
inline constexpr std::size_t kPoolUtilizedSize = 112;
inline constexpr std::size_t kSource = 120;  // a pointer
}  // namespace memory

namespace pool {
inline constexpr std::size_t kBytes = 80;
inline constexpr std::size_t kOperation = 4;
inline constexpr std::size_t kPoolType = 8;
inline constexpr std::size_t kCorrelationId = 12;
inline constexpr std::size_t kProcessId = 16;
inline constexpr std::size_t kDeviceId = 20;
inline constexpr std::size_t kLeastKept = 24;  // 8 bytes, like the next five
inline constexpr std::size_t kAddress = 32;
inline constexpr std::size_t kSize = 40;
inline constexpr std::size_t kReleaseThreshold = 48;
inline constexpr std::size_t kTimestamp = 56;
inline constexpr std::size_t kUtilizedSize = 64;
inline constexpr std::size_t kIsManaged = 72;  // 1 byte
}  // namespace pool

namespace overhead {
inline constexpr std::size_t kBytes = 56;
inline constexpr std::size_t kOverheadKind = 4;
inline constexpr std::size_t kObjectKind = 8;
inline constexpr std::size_t kObjectId = 12;  // 3 numbers of 4 bytes
inline constexpr std::size_t kStart = 24;     // 8 bytes
inline constexpr std::size_t kEnd = 32;       // 8 bytes
inline constexpr std::size_t kCorrelationId = 40;
inline constexpr std::size_t kReserved = 44;
inline constexpr std::size_t kData = 48;  // a pointer
}  // namespace overhead

// Records of other kinds that are stepped over, with the bytes that each takes.
struct SkippedKind {
  std::uint32_t kind;
  std::size_t bytes;
};
inline constexpr SkippedKind kSkippedKinds[] = {{1, 96},              // memory copy
                                                {2, 88},              // memory set
                                                {3, 216}, {10, 216},  // kernels
                                                {12, 56}, {22, 96},  {38, 56}, {45, 80},
                                                {51, 56}, {52, 72},  {53, 56}, {54, 64}};

}  // namespace sbp::profiler::layout
