// The IDX format of the MNIST family: big-endian magic number and sizes, then bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sbp::experiments {

struct IdxArray {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> bytes;  // as many as the product of `sizes`
};

// Reads an array of unsigned bytes with `dimensions` dimensions, gzipped or plain. Throws Error
// naming the file: not there, damaged, of another magic number, too short, too long.
IdxArray read_idx(const std::string& path, int dimensions);

}  // namespace sbp::experiments
