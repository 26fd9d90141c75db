// Files compressed with xz or gzip, unpacked into memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sbp::experiments {

// What a compressed archive may unpack to; more is taken for a bomb.
inline constexpr std::uint64_t kMaximumUnpackedBytes = std::uint64_t{4} << 30;

// Does a file that starts so hold xz or gzip data?
bool is_compressed(std::span<const std::byte> start);

// Unpacks all of `file`, by its first bytes. Throws Error naming `path`: damaged, truncated, more
// than `limit` bytes, or a dictionary of more memory than 256 MiB.
std::vector<std::byte> unpack(std::span<const std::byte> file, const std::string& path,
                              std::uint64_t limit = kMaximumUnpackedBytes);

}  // namespace sbp::experiments
