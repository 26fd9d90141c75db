// Writes a safetensors file, tensor by tensor; LibTorch-free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sbp/base/whole_file.h"

namespace sbp::experiments {

struct TensorDescription {
  std::string name;
  std::string dtype;  // the format's word: F32, ...
  std::vector<std::int64_t> shape;
};

// What tells a file from another.
struct FileFacts {
  std::int64_t bytes = 0;
  std::uint32_t crc32 = 0;  // of all bytes, as zlib computes it

  bool operator==(const FileFacts&) const = default;
};

// The file is there whole or not at all (WholeFile); a file of the name is replaced. Nothing is
// held in memory but the header. The same tensors give the same bytes.
class SafetensorsWriter {
 public:
  // Writes the header. Throws Error for a name that is empty, `__metadata__` or there twice, an
  // unknown dtype, and when nothing can be written. `metadata`: texts beside the tensors.
  // `purpose`: of WholeFile.
  SafetensorsWriter(const std::string& path, std::vector<TensorDescription> tensors,
                    const std::map<std::string, std::string>& metadata,
                    const std::string& purpose = "output");

  // The little-endian, row-major data of the next tensor. Throws Error when the size is not that of
  // its description.
  void append(std::span<const std::byte> data);

  // After the last tensor. Throws Error, too when tensors are missing.
  FileFacts finish();

 private:
  void write(std::string_view bytes);

  std::string path_;
  std::vector<TensorDescription> tensors_;
  std::size_t next_ = 0;
  FileFacts facts_;
  WholeFile file_;
};

// Size and checksum of bytes in memory.
FileFacts facts_of(std::span<const std::byte> bytes);

// `crc32` continued by `bytes`; starts from 0.
std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t crc32 = 0);

// As checkpoints and reports write it: "crc32:0123abcd".
std::string checksum_text(std::uint32_t crc32);

}  // namespace sbp::experiments
