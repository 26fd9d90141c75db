// A strict reader of the safetensors format (8-byte little-endian header length, JSON header, raw
// data); LibTorch-free. For golden vectors, checkpoints and weights from elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace sbp::experiments {

// Of the format's word for a type; 0 when it is unknown.
std::uint64_t element_bytes(const std::string& dtype);

struct StoredTensor {
  std::string dtype;  // the format's word: F32, F64, I64, U8, BOOL, ...
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;  // inside the SafetensorsFile's memory, not aligned
};

class SafetensorsFile {
 public:
  // Throws Error naming the file and what is wrong: truncated, header not JSON, offsets that
  // overlap, leave gaps, exceed the file or do not match shape times element size.
  explicit SafetensorsFile(const std::string& path);

  // Tensors look into the file's bytes, which a copy would not share.
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;
  SafetensorsFile(SafetensorsFile&&) = default;
  SafetensorsFile& operator=(SafetensorsFile&&) = default;

  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  // The whole file.
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  std::map<std::string, StoredTensor> tensors_;
};

}  // namespace sbp::experiments
