#include "sbp/base/device_id.h"

#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp {

DeviceId parse_device(std::string_view text) {
  if (text == "cpu") return {DeviceId::Kind::cpu};
  if (text == "meta") return {DeviceId::Kind::meta};
  if (text == "cuda") return {DeviceId::Kind::cuda};
  if (text.starts_with("cuda:")) {
    int index = -1;
    if (parse_number(text.substr(5), index) == std::errc() && index >= 0) {
      return {DeviceId::Kind::cuda, index};
    }
  }
  throw UsageError(concat("unknown device '", text, "'; use cpu, meta, cuda or cuda:N"));
}

std::string to_string(const DeviceId& device) {
  switch (device.kind) {
    case DeviceId::Kind::cpu: return "cpu";
    case DeviceId::Kind::meta: return "meta";
    case DeviceId::Kind::cuda: return concat("cuda:", device.index);
  }
  return "unknown";
}

}  // namespace sbp
