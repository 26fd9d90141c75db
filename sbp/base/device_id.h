// Which device a run is on.
#pragma once

#include <string>
#include <string_view>

namespace sbp {

// `meta` computes nothing: shapes, dtypes and lifetimes only.
struct DeviceId {
  enum class Kind { cpu, cuda, meta };
  Kind kind = Kind::cpu;
  int index = 0;  // cuda only

  bool operator==(const DeviceId&) const = default;
};

// "cpu", "meta", "cuda", "cuda:N"; throws UsageError otherwise.
DeviceId parse_device(std::string_view text);
std::string to_string(const DeviceId& device);

}  // namespace sbp
