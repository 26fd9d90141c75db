#include "experiments/data/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>

#include "sbp/base/error.h"
#include "sbp/base/whole_file.h"

namespace sbp::experiments {
namespace {

// Castagnoli's polynomial, bits reversed.
constexpr std::uint32_t kPolynomial = 0x82F63B78U;

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1U) * kPolynomial);
    table[byte] = value;
  }
  return table;
}

// So that the sum of data that hold sums is no special value.
std::uint32_t masked(std::uint32_t sum) {
  constexpr std::uint32_t kDelta = 0xA282EAD8U;
  return std::rotr(sum, 15) + kDelta;
}

template <typename Number>
std::string little_endian(Number number) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof number; ++i) {
    bytes += static_cast<char>((number >> (8 * i)) & 0xFFU);
  }
  return bytes;
}

// ---- protobuf's wire format

enum class Wire : std::uint32_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

std::string varint(std::uint64_t number) {
  std::string bytes;
  for (; number >= 0x80U; number >>= 7) bytes += static_cast<char>((number & 0x7FU) | 0x80U);
  return bytes + static_cast<char>(number);
}

std::string key(std::uint32_t field, Wire wire) {
  return varint((std::uint64_t{field} << 3) | static_cast<std::uint64_t>(wire));
}

std::string integer_field(std::uint32_t field, std::int64_t value) {
  return key(field, Wire::varint) + varint(static_cast<std::uint64_t>(value));
}
std::string double_field(std::uint32_t field, double value) {
  return key(field, Wire::fixed64) + little_endian(std::bit_cast<std::uint64_t>(value));
}
std::string float_field(std::uint32_t field, float value) {
  return key(field, Wire::fixed32) + little_endian(std::bit_cast<std::uint32_t>(value));
}
std::string bytes_field(std::uint32_t field, std::string_view value) {
  return key(field, Wire::bytes) + varint(value.size()) + std::string(value);
}

std::string time_fields(const EventTime& time) {
  return double_field(1, time.wall_seconds) + integer_field(2, time.step);
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "host";
  return name.data();
}

// A file of this name that exists is somebody else's; the number tells runs of one second apart.
Descriptor open_new(const std::string& folder, std::string& path) {
  constexpr int kAttempts = 1000;
  const auto seconds = static_cast<std::int64_t>(now());
  for (int number = 0;; ++number) {
    path = concat(folder, "/events.out.tfevents.", seconds, ".", host_name(), ".", ::getpid(), ".",
                  number);
    Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file.number() >= 0) return file;
    if (errno != EEXIST || number == kAttempts) {
      throw Error(concat("cannot write '", path, "': ", reason_of(errno)));
    }
  }
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = crc_table();
  std::uint32_t sum = 0xFFFFFFFFU;
  for (const char letter : bytes) {
    sum = (sum >> 8) ^ kTable[(sum ^ static_cast<unsigned char>(letter)) & 0xFFU];
  }
  return ~sum;
}

std::string framed_record(std::string_view data) {
  const std::string length = little_endian(std::uint64_t{data.size()});
  return length + little_endian(masked(crc32c(length))) + std::string(data) +
         little_endian(masked(crc32c(data)));
}

std::string version_event(double wall_seconds) {
  return double_field(1, wall_seconds) + bytes_field(3, "brain.Event:2");
}

// Summary.value = 1, of which tag = 1 and simple_value = 2.
std::string scalars_event(const EventTime& time, const Scalars& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += bytes_field(1, bytes_field(1, tag) + float_field(2, static_cast<float>(value)));
  }
  return time_fields(time) + bytes_field(5, summary);
}

// SessionLog.status = 1: START is 1.
std::string restart_event(const EventTime& time) {
  return time_fields(time) + bytes_field(7, integer_field(1, 1));
}

EventFile::EventFile(const std::string& folder, std::optional<std::int64_t> resumed_from)
    : file_(open_new(folder, path_)) {
  write(version_event(now()));
  if (resumed_from) write(restart_event({.wall_seconds = now(), .step = *resumed_from + 1}));
}

void EventFile::add(std::int64_t step, const Scalars& scalars) {
  write(scalars_event({.wall_seconds = now(), .step = step}, scalars));
}

void EventFile::write(const std::string& event) {
  if (const int error = write_all(file_.number(), framed_record(event))) {
    throw Error(concat("cannot write '", path_, "': ", reason_of(error)));
  }
}

}  // namespace sbp::experiments
