// Where the files of a tar archive lie; nothing is unpacked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace sbp::experiments {

struct TarMember {
  std::string name;  // folders joined by '/', no leading "./", no trailing '/'
  bool is_folder = false;
  std::uint64_t offset = 0;  // of the contents, from the archive's start
  std::uint64_t bytes = 0;
};

// Fills all of `bytes` from `offset` of the archive, which holds that much.
using ReadAt = std::function<void(std::uint64_t offset, std::span<std::byte> bytes)>;

// The members of an archive of `size` bytes: ustar, with pax and GNU long names and sizes. Throws
// Error naming `path` and the member or the byte: truncated (contents or end mark missing), damaged
// headers, names that are absolute or lead out by "..", links, devices, the same name twice.
std::vector<TarMember> index_tar(std::uint64_t size, const ReadAt& read_at,
                                 const std::string& path);

}  // namespace sbp::experiments
