#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>

#include "profiler/predict/allocator_options.h"
#include "profiler/predict/caching_allocator.h"
#include "sbp/base/error.h"
#include "tests/profiler/predict/random_requests.h"

using namespace sbp;
using namespace sbp::predict;

namespace {

using Divisions = std::array<std::int64_t, kRoundupIntervals>;

Divisions divisions(const std::string& value) {
  return parse_allocator_options("roundup_power2_divisions=\"" + value + "\"")
      .roundup_power2_divisions;
}

std::string refused(const std::string& text) {
  try {
    parse_allocator_options(text);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

bool says(const std::string& sentence, const std::string& part) {
  return sentence.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("allocator options: defaults are PyTorch's") {
  CHECK(parse_allocator_options("native") == AllocatorOptions());
  CHECK(to_string(AllocatorOptions()) ==
        "native:expandable_segments=false,max_split_mb=0,max_non_split_rounding_mb=20,"
        "large_segment_mb=20,roundup_power2_divisions=0,garbage_collection_threshold=0,"
        "limit_bytes=0");
}

TEST_CASE("allocator options: all keys, with and without the name") {
  const std::string keys =
      "expandable_segments=true,max_split_mb=128,max_non_split_rounding_mb=40,large_segment_mb=32,"
      "roundup_power2_divisions=\"[256:1,512:2,>:4]\",garbage_collection_threshold=0.8,"
      "limit_bytes=12345678901";
  const AllocatorOptions options = parse_allocator_options(keys);
  CHECK(options.expandable_segments);
  CHECK(options.max_split_bytes == 128 * kMebibyte);
  CHECK(options.max_non_split_rounding_bytes == 40 * kMebibyte);
  CHECK(options.large_segment_bytes == 32 * kMebibyte);
  CHECK(options.roundup_power2_divisions ==
        Divisions{1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 4, 4, 4, 4, 4});
  CHECK(options.garbage_collection_threshold == 0.8);
  CHECK(options.limit_bytes == 12345678901);
  CHECK(parse_allocator_options("native:" + keys) == options);
}

TEST_CASE("allocator options: PyTorch's own spellings are understood") {
  CHECK(parse_allocator_options("max_split_size_mb=64,large_segment_size_mb=25,"
                                "expandable_segments=True") ==
        parse_allocator_options("max_split_mb=64,large_segment_mb=25,expandable_segments=true"));
  CHECK(divisions("[256:1,512:2,>:4]") ==
        parse_allocator_options("roundup_power2_divisions=[256:1,512:2,>:4],max_split_mb=50")
            .roundup_power2_divisions);
  CHECK(says(refused("max_split_size_mb=64,max_split_mb=64"), "given twice"));
  CHECK(says(refused("expandable_segments:True"), "write expandable_segments=VALUE"));
}

// What LibTorch 2.14.1's own parser answered.
TEST_CASE("allocator options: lists of divisions are read as PyTorch reads them") {
  CHECK(divisions("4") == Divisions{4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4});
  CHECK(divisions("[64:8,128:2,256:4,512:2,1024:4,>:1]") ==
        Divisions{8, 8, 8, 8, 8, 8, 8, 2, 4, 2, 4, 1, 1, 1, 1, 1});
  CHECK(divisions("[64:8;256:4]") == Divisions{8, 8, 8, 8, 8, 8, 8, 0, 4, 0, 0, 0, 0, 0, 0, 0});
  CHECK(divisions("[>:4]") == Divisions{0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4});
  CHECK(divisions("[>:4,64:2]") == Divisions{2, 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4});
  CHECK(divisions("[512:4,256:2,>:8]") ==
        Divisions{4, 4, 4, 4, 4, 4, 4, 4, 2, 8, 8, 8, 8, 8, 8, 8});
  CHECK(divisions("[131072:4]") == Divisions{4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4});
  CHECK(divisions("[65536:4,>:2]") == Divisions{4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4});
}

TEST_CASE("allocator options: what PyTorch refuses is refused, with the value and a remedy") {
  CHECK(refused("max_split_mb=19") ==
        "allocator max_split_mb must be in [20, 1073741824] (from large_segment_mb on, or 0 for "
        "none), not '19'");
  CHECK(says(refused("large_segment_mb=32,max_split_mb=25"),
             "in [32, 1073741824] (from large_segment_mb"));
  CHECK(says(refused("max_split_mb=25,large_segment_mb=32"),
             "in [32, 1073741824] (from large_segment_mb"));
  CHECK(says(refused("max_non_split_rounding_mb=5"), "in [20, 1073741824] (from large_segment_mb"));
  CHECK(says(refused("large_segment_mb=10"), "large_segment_mb must be in [11, 1073741824]"));
  CHECK(says(refused("garbage_collection_threshold=1"), "[0, 1), not '1'"));
  CHECK(says(refused("garbage_collection_threshold=nan"), "not 'nan'"));
  CHECK(says(refused("roundup_power2_divisions=3"), "powers of two, or 0 for none, not '3'"));
  CHECK(says(refused("roundup_power2_divisions=\"[100:4]\""), "'100' MiB, which is no power"));
  CHECK(says(refused("roundup_power2_divisions=\"[64:4\""), "no ']' at its end"));
  CHECK(says(refused("roundup_power2_divisions=\"[]\""), "has no ':'"));
  CHECK(says(refused("roundup_power2_divisions=\"[64:]\""), "not a whole number"));
  CHECK(says(refused("roundup_power2_divisions=-4"), "'-4'"));
  CHECK(says(refused("max_split_mb=999999999999999999999"), "'999999999999999999999'"));
  CHECK(says(refused("limit_bytes=-1"), "'-1'"));
  CHECK(says(refused("expandable_segments=yes"), "'yes'"));
  CHECK(says(refused("max_split=3"), "unknown native key 'max_split'"));
  CHECK(says(refused("cudaMallocAsync"), "cudaMallocAsync"));
  CHECK(says(refused(""), "the allocator is empty; known: native"));
}

TEST_CASE("allocator options: values in code are held to the same rules") {
  AllocatorOptions options;
  options.device_total_bytes = 0;
  CHECK_THROWS_AS(CachingAllocator{options}, UsageError);
  options = {};
  options.limit_bytes = -5;
  CHECK_THROWS_AS(CachingAllocator{options}, UsageError);
  options = {};
  options.max_split_bytes = 20 * kMebibyte + 1;
  CHECK_THROWS_AS(CachingAllocator{options}, UsageError);
  options = {};
  options.garbage_collection_threshold = 1.5;
  CHECK_THROWS_AS(CachingAllocator{options}, UsageError);
}

TEST_CASE("allocator options: the resolved spec reads back") {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    AllocatorOptions options = predict::tests::random_options(random);
    options.device_total_bytes = AllocatorOptions().device_total_bytes;
    AllocatorOptions read = parse_allocator_options(to_string(options));
    // Written out, what was left to the default is set.
    if (!options.max_non_split_rounding_bytes) {
      CHECK(read.max_non_split_rounding_bytes == options.large_segment_bytes);
      read.max_non_split_rounding_bytes.reset();
    }
    CHECK(read == options);
  }
}
