#include <doctest/doctest.h>

#include "sbp/base/device_id.h"
#include "sbp/base/error.h"

using sbp::DeviceId;

TEST_CASE("device: every spelling") {
  CHECK(sbp::parse_device("cpu") == DeviceId{DeviceId::Kind::cpu, 0});
  CHECK(sbp::parse_device("meta") == DeviceId{DeviceId::Kind::meta, 0});
  CHECK(sbp::parse_device("cuda") == DeviceId{DeviceId::Kind::cuda, 0});
  CHECK(sbp::parse_device("cuda:3") == DeviceId{DeviceId::Kind::cuda, 3});
}

TEST_CASE("device: printed forms parse back") {
  for (const DeviceId& device :
       {DeviceId{}, DeviceId{DeviceId::Kind::meta, 0}, DeviceId{DeviceId::Kind::cuda, 11}}) {
    CHECK(sbp::parse_device(sbp::to_string(device)) == device);
  }
  CHECK(sbp::to_string(DeviceId{DeviceId::Kind::cuda, 2}) == "cuda:2");
}

TEST_CASE("device: anything else is refused with the right spellings") {
  for (const std::string bad : {"", "CPU", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1x",
                                "cuda: 1", "cpu:0", "cuda:99999999999"}) {
    CAPTURE(bad);
    CHECK_THROWS_WITH_AS(
        sbp::parse_device(bad),
        sbp::concat("unknown device '", bad, "'; use cpu, meta, cuda or cuda:N").c_str(),
        sbp::UsageError);
  }
}
