#include "experiments/data/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::experiments {
namespace {

constexpr std::uint64_t kBlockBytes = 512;
constexpr std::uint64_t kMaximumExtraBytes = 1 << 20;  // of a pax header or a long name
using Block = std::array<char, kBlockBytes>;

// The fields of a ustar header (POSIX.1-1988; pax interchange format, POSIX.1-2001).
struct Field {
  std::size_t first;
  std::size_t length;
};
constexpr Field kName = {0, 100}, kSize = {124, 12}, kChecksum = {148, 8}, kMagic = {257, 6},
                kPrefix = {345, 155};
constexpr std::size_t kType = 156;

std::string_view raw(const Block& block, Field field) {
  return std::string_view(block.data(), block.size()).substr(field.first, field.length);
}

std::string_view text(const Block& block, Field field) {
  const std::string_view all = raw(block, field);
  return all.substr(0, all.find('\0'));
}

// Octal digits between spaces and null bytes, or (GNU) the top bit and a big-endian number.
std::optional<std::uint64_t> number(std::string_view field) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  std::uint64_t value = 0;
  if ((static_cast<unsigned char>(field[0]) & 0x80u) != 0) {
    for (std::size_t i = 0; i < field.size(); ++i) {
      const auto byte = static_cast<unsigned char>(field[i]);
      if (value >= kMost >> 8) return std::nullopt;
      value = (value << 8) | (i == 0 ? byte & 0x7Fu : byte);
    }
    return value;
  }
  while (!field.empty() && field.front() == ' ') field.remove_prefix(1);
  while (!field.empty() && (field.back() == ' ' || field.back() == '\0')) field.remove_suffix(1);
  if (field.empty()) return 0;
  const char* const last = field.data() + field.size();
  const auto [end, code] = std::from_chars(field.data(), last, value, 8);
  if (code != std::errc() || end != last) return std::nullopt;
  return value;
}

bool checksum_fits(const Block& block) {
  std::uint64_t sum = kChecksum.length * ' ';
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool inside = i >= kChecksum.first && i < kChecksum.first + kChecksum.length;
    if (!inside) sum += static_cast<unsigned char>(block[i]);
  }
  return number(raw(block, kChecksum)) == sum;
}

class TarIndexer {
 public:
  TarIndexer(std::uint64_t size, const ReadAt& read_at, const std::string& path)
      : size_(size), read_at_(read_at), path_(path) {}

  std::vector<TarMember> index() {
    for (;;) {
      if (size_ - place_ < kBlockBytes) {
        fail(fmt::format("it is truncated: it ends at byte {} without the mark of its end", size_));
      }
      Block block{};
      read_at_(place_, std::as_writable_bytes(std::span(block)));
      if (std::ranges::all_of(block, [](char byte) { return byte == '\0'; })) break;
      if (!checksum_fits(block)) {
        fail(fmt::format("no member's header is at byte {}, where one must be", place_));
      }
      place_ += kBlockBytes;
      read_member(block);
    }
    return std::move(members_);
  }

 private:
  [[noreturn]] void fail(std::string_view reason) const {
    throw Error(fmt::format("cannot read archive '{}': {}", path_, reason));
  }

  void read_member(const Block& block) {
    const std::optional<std::uint64_t> size = number(raw(block, kSize));
    if (!size) fail(fmt::format("the header before byte {} has no readable size", place_));
    const char type = block[kType];
    std::string name = long_name_.value_or(plain_name(block));
    const bool is_extra = type == 'x' || type == 'g' || type == 'L' || type == 'K';
    const std::uint64_t bytes = is_extra ? *size : long_size_.value_or(*size);
    if (bytes > size_ - place_) {
      fail(fmt::format("member '{}' claims {} bytes at byte {}, but the archive ends {} bytes on",
                       name, bytes, place_, size_ - place_));
    }
    if (is_extra) {
      read_extra(type, bytes);
    } else {
      add(std::move(name), type, bytes);
      long_name_.reset();
      long_size_.reset();
    }
    const std::uint64_t blocks = (bytes + kBlockBytes - 1) / kBlockBytes;
    place_ += std::min(blocks * kBlockBytes, size_ - place_);
  }

  static std::string plain_name(const Block& block) {
    const std::string name(text(block, kName));
    const std::string_view prefix = text(block, kPrefix);
    // GNU's own magic is followed by a space, and other things lie in the prefix's place.
    const bool has_prefix = raw(block, kMagic) == std::string_view("ustar\0", 6);
    return has_prefix && !prefix.empty() ? fmt::format("{}/{}", prefix, name) : name;
  }

  void add(std::string name, char type, std::uint64_t bytes) {
    const bool is_folder = type == '5';
    if (!is_folder && type != '0' && type != '\0' && type != '7') {
      const bool is_link = type == '1' || type == '2';
      fail(fmt::format("member '{}' is {}; only files and folders are read", name,
                       is_link ? "a link" : fmt::format("of type '{}'", type)));
    }
    std::string clean = clean_name(name);
    if (clean.empty()) {
      if (is_folder) return;  // "./" itself
      fail(fmt::format("member '{}' has no name", name));
    }
    if (!names_.insert(clean).second) {
      if (is_folder) return;
      fail(fmt::format("it has the member '{}' twice", clean));
    }
    members_.push_back({std::move(clean), is_folder, place_, is_folder ? 0 : bytes});
  }

  // Without "." and empty parts. Nothing is ever unpacked, but such a name has no good reason.
  std::string clean_name(std::string_view name) const {
    if (name.starts_with('/')) {
      fail(fmt::format("member '{}' has an absolute path, which leads out of it", name));
    }
    std::string clean;
    std::size_t start = 0;
    while (start <= name.size()) {
      const std::size_t end = std::min(name.find('/', start), name.size());
      const std::string_view part = name.substr(start, end - start);
      if (part == "..") fail(fmt::format("member '{}' leads out of it by '..'", name));
      if (!part.empty() && part != ".") {
        if (!clean.empty()) clean += '/';
        clean += part;
      }
      start = end + 1;
    }
    return clean;
  }

  void read_extra(char type, std::uint64_t bytes) {
    if (type == 'K') return;  // the target of a link, which is refused later
    if (bytes > kMaximumExtraBytes) {
      fail(fmt::format("the extra header at byte {} claims {} bytes; at most {} are read", place_,
                       bytes, kMaximumExtraBytes));
    }
    std::string contents(static_cast<std::size_t>(bytes), '\0');
    read_at_(place_, std::as_writable_bytes(std::span(contents)));
    if (type == 'L') {
      long_name_ = contents.substr(0, contents.find('\0'));
    } else if (type == 'x') {
      read_pax(contents);
    }
  }

  // Records "LENGTH KEY=VALUE\n", the length of all of it.
  void read_pax(std::string_view records) {
    while (!records.empty()) {
      std::size_t length = 0;
      const auto [end, code] =
          std::from_chars(records.data(), records.data() + records.size(), length);
      const auto digits = static_cast<std::size_t>(end - records.data());
      if (code != std::errc() || length > records.size() || digits + 2 > length ||
          records[digits] != ' ' || records[length - 1] != '\n') {
        fail(fmt::format("the pax header at byte {} is damaged", place_));
      }
      const std::string_view record = records.substr(digits + 1, length - digits - 2);
      const std::size_t equals = record.find('=');
      if (equals == std::string_view::npos) {
        fail(fmt::format("the pax header at byte {} is damaged", place_));
      }
      apply_pax(record.substr(0, equals), record.substr(equals + 1));
      records.remove_prefix(length);
    }
  }

  void apply_pax(std::string_view key, std::string_view value) {
    if (key == "path") long_name_ = std::string(value);
    if (key == "size") {
      std::uint64_t size = 0;
      if (parse_number(value, size) != std::errc()) {
        fail(fmt::format("the pax header at byte {} has the size '{}'", place_, value));
      }
      long_size_ = size;
    }
    if (key.starts_with("GNU.sparse")) {
      fail(fmt::format("the member after byte {} is a sparse file, which is not read", place_));
    }
  }

  std::uint64_t size_;
  const ReadAt& read_at_;
  const std::string& path_;
  std::uint64_t place_ = 0;
  std::vector<TarMember> members_;
  std::set<std::string> names_;
  std::optional<std::string> long_name_;  // of the member that follows
  std::optional<std::uint64_t> long_size_;
};

}  // namespace

std::vector<TarMember> index_tar(std::uint64_t size, const ReadAt& read_at,
                                 const std::string& path) {
  return TarIndexer(size, read_at, path).index();
}

}  // namespace sbp::experiments
