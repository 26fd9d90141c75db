#include "experiments/data/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "experiments/data/files.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
// The format's own bound on headers.
constexpr std::uint64_t kMaximumHeaderBytes = 100'000'000;
constexpr int kMaximumDepth = 2;  // an array inside a tensor's object inside the header

// Reads the header of one file; holds what errors need to say.
class HeaderReader {
 public:
  explicit HeaderReader(const std::string& path) : path_(path) {}

  std::map<std::string, StoredTensor> read(std::span<const std::byte> file) const {
    const std::uint64_t length = header_length(file);
    const auto header = file.subspan(kLengthBytes, length);
    const auto data = file.subspan(kLengthBytes + length);
    std::map<std::string, StoredTensor> tensors;
    const Json json = parse(header);
    for (const auto& [name, fields] : json.items()) {
      if (name == "__metadata__") {
        check_metadata(fields);
      } else {
        tensors.emplace(name, read_tensor(name, fields, data));
      }
    }
    check_no_gaps(tensors, data);
    return tensors;
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw Error(fmt::format("cannot read safetensors file '{}': {}", path_, reason));
  }
  [[noreturn]] void fail(const std::string& tensor, const std::string& reason) const {
    fail(fmt::format("tensor '{}' {}", tensor, reason));
  }

  std::uint64_t header_length(std::span<const std::byte> file) const {
    if (file.size() < kLengthBytes) {
      fail(fmt::format("it has {} bytes, fewer than the {} of its header's length", file.size(),
                       kLengthBytes));
    }
    std::uint64_t length = 0;
    for (std::size_t i = kLengthBytes; i-- > 0;) {
      length = (length << 8) | std::to_integer<std::uint64_t>(file[i]);
    }
    const std::uint64_t rest = file.size() - kLengthBytes;
    if (length > rest || length > kMaximumHeaderBytes) {
      fail(fmt::format("its header's length is {} bytes, but {} bytes follow, and {} are allowed",
                       length, rest, kMaximumHeaderBytes));
    }
    return length;
  }

  // The JSON library keeps the last of equal keys and nests without bound; the format forbids both.
  Json parse(std::span<const std::byte> header) const {
    std::vector<std::set<std::string>> keys;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
      switch (event) {
        case Json::parse_event_t::object_start: keys.emplace_back(); [[fallthrough]];
        case Json::parse_event_t::array_start:
          if (depth > kMaximumDepth) fail("its header nests deeper than the format does");
          break;
        case Json::parse_event_t::object_end: keys.pop_back(); break;
        case Json::parse_event_t::key:
          if (!keys.back().insert(value.get<std::string>()).second) {
            fail(fmt::format("its header has the key '{}' twice", value.get<std::string>()));
          }
          break;
        default: break;
      }
      return true;
    };
    const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
    // The library takes a null byte for the end of its input.
    if (!text.starts_with('{') || text.find('\0') != std::string_view::npos) {
      fail("its header is not a JSON object");
    }
    try {
      return Json::parse(text, watch);
    } catch (const Json::parse_error& error) {
      fail(fmt::format("its header is not JSON at byte {}", error.byte));
    } catch (const Json::out_of_range&) {
      fail("its header has a number that is larger than any that can be held");
    }
  }

  void check_metadata(const Json& metadata) const {
    const bool good = metadata.is_object() &&
                      std::ranges::all_of(metadata, [](const Json& v) { return v.is_string(); });
    if (!good) fail("its __metadata__ is not an object of strings");
  }

  StoredTensor read_tensor(const std::string& name, const Json& fields,
                           std::span<const std::byte> data) const {
    if (!fields.is_object() || !fields.contains("dtype") || !fields["dtype"].is_string()) {
      fail(name, "has no dtype");
    }
    StoredTensor tensor;
    tensor.dtype = fields["dtype"].get<std::string>();
    std::uint64_t bytes = element_bytes(tensor.dtype);
    if (bytes == 0) fail(name, fmt::format("has the unknown dtype '{}'", tensor.dtype));

    for (const std::uint64_t size : read_numbers(name, fields, "shape")) {
      constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
      if (size > kMost || (size != 0 && bytes > kMost / size)) {
        fail(name, "has a shape of more bytes than can be counted");
      }
      bytes *= size;
      tensor.shape.push_back(static_cast<std::int64_t>(size));
    }

    const std::vector<std::uint64_t> offsets = read_numbers(name, fields, "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data.size()) {
      fail(name, fmt::format("has data_offsets {}, but there are {} bytes of data",
                             fields["data_offsets"].dump(), data.size()));
    }
    if (offsets[1] - offsets[0] != bytes) {
      fail(name, fmt::format("has {} bytes of data, but its shape {} of {} needs {}",
                             offsets[1] - offsets[0], fields["shape"].dump(), tensor.dtype, bytes));
    }
    tensor.data = data.subspan(offsets[0], bytes);
    return tensor;
  }

  std::vector<std::uint64_t> read_numbers(const std::string& name, const Json& fields,
                                          const char* key) const {
    std::vector<std::uint64_t> numbers;
    const auto found = fields.find(key);
    if (found == fields.end() || !found->is_array()) {
      fail(name, fmt::format("has no list '{}'", key));
    }
    for (const Json& number : *found) {
      if (!number.is_number_unsigned()) {
        fail(name, fmt::format("has {} in its '{}', which holds whole numbers from 0",
                               number.dump(), key));
      }
      numbers.push_back(number.get<std::uint64_t>());
    }
    return numbers;
  }

  // Together the tensors must cover the data once.
  void check_no_gaps(const std::map<std::string, StoredTensor>& tensors,
                     std::span<const std::byte> data) const {
    std::vector<std::pair<std::span<const std::byte>, const std::string*>> parts;
    for (const auto& [name, tensor] : tensors) parts.emplace_back(tensor.data, &name);
    std::ranges::sort(parts, [](const auto& a, const auto& b) {
      return std::pair(a.first.data(), a.first.size()) < std::pair(b.first.data(), b.first.size());
    });
    const std::byte* end = data.data();
    for (const auto& [part, name] : parts) {
      if (part.data() != end) {
        const bool overlaps = part.data() < end;
        fail(*name,
             fmt::format("starts at byte {} of the data, {} the one before, which ends at {}",
                         part.data() - data.data(), overlaps ? "inside" : "with a gap after",
                         end - data.data()));
      }
      end = part.data() + part.size();
    }
    if (end != data.data() + data.size()) {
      fail(fmt::format("{} bytes follow the last tensor", data.data() + data.size() - end));
    }
  }

  const std::string& path_;
};

}  // namespace

std::uint64_t element_bytes(const std::string& dtype) {
  static const std::map<std::string, std::uint64_t> sizes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
      {"U16", 2},  {"I16", 2}, {"F16", 2}, {"BF16", 2},    {"U32", 4},
      {"I32", 4},  {"F32", 4}, {"U64", 8}, {"I64", 8},     {"F64", 8}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

SafetensorsFile::SafetensorsFile(const std::string& path)
    : bytes_(read_file(path, "safetensors file")), tensors_(HeaderReader(path).read(bytes_)) {}

}  // namespace sbp::experiments
