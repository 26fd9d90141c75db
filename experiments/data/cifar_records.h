// The binary records of CIFAR-10 and CIFAR-100: label bytes, then 1,024 bytes each of red, green
// and blue (Krizhevsky 2009).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "experiments/data/dataset.h"

namespace sbp::experiments {

inline constexpr std::int64_t kCifarImage = 32;  // height and width

struct CifarFormat {
  std::string name;             // "CIFAR-10", for errors
  std::size_t label_bytes = 1;  // before the pixels
  std::size_t label_place = 0;  // which of them is the label
  ImageGeometry geometry;       // of batches; images are of 32x32

  std::size_t record_bytes() const { return label_bytes + 3 * kCifarImage * kCifarImage; }
};

using CifarRecords = std::vector<std::byte>;

// Throws Error naming `path` where `records` are not whole ones, at least one, or a label is out of
// range.
void check_records(const CifarRecords& records, const std::string& path, const CifarFormat& format);

// The records [first, first + count).
std::unique_ptr<Dataset> view_records(std::shared_ptr<const CifarRecords> records,
                                      std::size_t first, std::size_t count,
                                      const CifarFormat& format);

}  // namespace sbp::experiments
