#include "experiments/data/safetensors_writer.h"

#include <fmt/format.h>
#include <zlib.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "experiments/data/safetensors.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr std::size_t kHeaderAlignment = 8;  // the data begins at a multiple of it, as elsewhere

std::uint64_t byte_count(const TensorDescription& tensor) {
  std::uint64_t bytes = element_bytes(tensor.dtype);
  for (const std::int64_t size : tensor.shape) bytes *= static_cast<std::uint64_t>(size);
  return bytes;
}

void check(const std::string& path, const std::vector<TensorDescription>& tensors) {
  std::set<std::string> names;
  for (const TensorDescription& tensor : tensors) {
    const auto fail = [&](std::string_view what) {
      throw Error(fmt::format("cannot write '{}': tensor '{}' {}", path, tensor.name, what));
    };
    if (tensor.name.empty() || tensor.name == "__metadata__") fail("has a name that is not free");
    if (!names.insert(tensor.name).second) fail("is there twice");
    if (element_bytes(tensor.dtype) == 0) {
      fail(fmt::format("has the unknown dtype '{}'", tensor.dtype));
    }
  }
}

// Length and JSON, padded with spaces.
std::string header_of(const std::vector<TensorDescription>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const TensorDescription& tensor : tensors) {
    const std::uint64_t end = offset + byte_count(tensor);
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  std::string length;
  for (int shift = 0; shift < 64; shift += 8) length += static_cast<char>(text.size() >> shift);
  return length + text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::string& path,
                                     std::vector<TensorDescription> tensors,
                                     const std::map<std::string, std::string>& metadata,
                                     const std::string& purpose)
    : path_(path), tensors_(std::move(tensors)), file_(path, {.shown = path, .purpose = purpose}) {
  check(path_, tensors_);
  write(header_of(tensors_, metadata));
}

void SafetensorsWriter::write(std::string_view bytes) {
  facts_.crc32 = crc32_of(std::as_bytes(std::span(bytes)), facts_.crc32);
  facts_.bytes += static_cast<std::int64_t>(bytes.size());
  file_.write(bytes);
}

void SafetensorsWriter::append(std::span<const std::byte> data) {
  if (next_ == tensors_.size()) {
    throw Error(fmt::format("cannot write '{}': more than its {} tensors", path_, next_));
  }
  const TensorDescription& tensor = tensors_[next_];
  if (data.size() != byte_count(tensor)) {
    throw Error(fmt::format("cannot write '{}': tensor '{}' has {} bytes, not the {} of its shape",
                            path_, tensor.name, data.size(), byte_count(tensor)));
  }
  write({reinterpret_cast<const char*>(data.data()), data.size()});
  ++next_;
}

FileFacts SafetensorsWriter::finish() {
  if (next_ != tensors_.size()) {
    throw Error(fmt::format("cannot write '{}': only {} of its {} tensors were given", path_, next_,
                            tensors_.size()));
  }
  file_.commit(WholeFile::Existing::replace);
  return facts_;
}

FileFacts facts_of(std::span<const std::byte> bytes) {
  return {.bytes = static_cast<std::int64_t>(bytes.size()), .crc32 = crc32_of(bytes)};
}

std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t crc32) {
  const auto* data = reinterpret_cast<const Bytef*>(bytes.data());
  // A null pointer would give the start value instead of going on.
  if (bytes.empty()) return crc32;
  return static_cast<std::uint32_t>(::crc32_z(crc32, data, bytes.size()));
}

std::string checksum_text(std::uint32_t crc32) {
  return fmt::format("crc32:{:08x}", crc32);
}

}  // namespace sbp::experiments
