#include <doctest/doctest.h>

#include "profiler/predict/device_profile.h"
#include "profiler/predict/scratch.h"
#include "sbp/base/error.h"

using namespace sbp;
using namespace sbp::predict;
using profiler::Operation;
using profiler::OperationKind;

namespace {

// ConvNeXt's: `batch` images of 96 channels and side x side pixels, a 7x7 kernel, padding 3.
Operation depthwise(std::int64_t batch, std::int64_t side) {
  return {.channels_last = true,
          .input = {batch, 96, 1, side, side},
          .output = {batch, 96, 1, side, side},
          .kernel = {96, 1, 1, 7, 7},
          .groups = 96};
}

std::int64_t bytes_of(const Operation& operation, const std::string& device) {
  std::int64_t bytes = 0;
  for (const Scratch& scratch : scratch_of(operation, parse_device_profile(device))) {
    bytes += scratch.bytes;
  }
  return bytes;
}

}  // namespace

TEST_CASE("depthwise convolutions of channels-last images work on padded copies") {
  Operation operation = depthwise(2, 21);
  const std::int64_t image = std::int64_t{2} * 96 * 21 * 21 * 4;
  const std::int64_t kernel = std::int64_t{96} * 7 * 7 * 4;
  CHECK(bytes_of(operation, "rtx3060") == 8 * image + 16 * kernel);
  CHECK(bytes_of(operation, "rtx4060") == 8 * image + 16 * kernel);  // 441 pixels are large

  SUBCASE("Ada does without on small images, but for the weight's gradient") {
    operation = depthwise(2, 10);
    const std::int64_t small = std::int64_t{2} * 96 * 10 * 10 * 4;
    CHECK(bytes_of(operation, "rtx3060") == 8 * small + 16 * kernel);
    CHECK(bytes_of(operation, "rtx4060") == 0);
    operation.kind = OperationKind::convolution_weight_gradient;
    CHECK(bytes_of(operation, "rtx4060") == 8 * small + 4 * kernel);
    CHECK(bytes_of(operation, "rtx3060") == 0);
  }
  SUBCASE("not where PyTorch's own kernels run, or other types, or the rule is off") {
    operation.channels_last = false;
    CHECK(bytes_of(operation, "rtx3060") == 0);
    operation.channels_last = true;
    CHECK(bytes_of(operation, "rtx3060:depthwise_copies=false") == 0);
    CHECK(bytes_of(operation, "v100") == 0);  // no tensor cores for fp32
    operation.element_bytes = 2;
    CHECK(bytes_of(operation, "rtx3060") == 0);
    operation.element_bytes = 4;
    operation.groups = 1;
    CHECK(bytes_of(operation, "rtx3060") == 0);
  }
}

TEST_CASE("matrix products bring cuBLAS workspaces") {
  const Operation product{.kind = OperationKind::matrix_product};
  std::vector<Scratch> scratch = scratch_of(product, parse_device_profile("a100"));
  REQUIRE(scratch.size() == 1);
  CHECK(scratch[0].kept);
  CHECK(scratch[0].bytes == 8'519'680);
  CHECK(bytes_of(product, "h100") == 32 << 20);
  CHECK(bytes_of(product, "b200") == 8'519'680);
  CHECK(scratch_of(product, parse_device_profile("a100:cublas_workspace=0")).empty());

  Operation biased = product;
  biased.has_bias = true;
  CHECK(scratch_of(biased, parse_device_profile("a100")).size() == 1);
  scratch = scratch_of(biased, parse_device_profile("a100:cublas_lt_workspace=1MiB"));
  REQUIRE(scratch.size() == 2);
  CHECK_FALSE(scratch[1].kept);
  CHECK(scratch[1].bytes == 1 << 20);
}

TEST_CASE("cards by name, with sizes of one's own") {
  const DeviceProfile card = parse_device_profile("rtx3060:memory=12GiB,context=300 MiB");
  CHECK(card.memory_bytes == std::int64_t{12} << 30);
  CHECK(card.context_bytes == std::int64_t{300} << 20);
  CHECK(parse_device_profile("rtx3060").memory_bytes == 12'622'168'064);
  CHECK(parse_device_profile("rtx4060:memory=8318222336").memory_bytes == 8'318'222'336);
  for (const SpecSchema& schema : device_schemas()) {
    CAPTURE(schema.name);
    const DeviceProfile profile = parse_device_profile(schema.name);
    CHECK(to_string(parse_device_profile(to_string(profile))) == to_string(profile));
    CHECK(profile.memory_bytes > 0);
  }
  CHECK_THROWS_WITH_AS(parse_device_profile("rtx3061"), doctest::Contains("rtx3060"), UsageError);
  CHECK_THROWS_WITH_AS(parse_device_profile("a100:memory=8"), doctest::Contains("'8GiB'"),
                       UsageError);
  for (const char* text : {"a100:memory=lots", "a100:memory=0", "a100:memory=0B", "a100:memory=-1",
                           "a100:memory=2000TiB", "a100:memory=1e3", "a100:size=1GiB",
                           "a100:depthwise_copies=maybe"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_device_profile(text), UsageError);
  }
}
