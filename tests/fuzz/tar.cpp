// Tar archives, plain and compressed.
#include "experiments/data/tar.h"

#include <cstring>

#include "experiments/data/compressed.h"
#include "tests/fuzz/target.h"

namespace fuzz = sbp::tests::fuzz;
using namespace sbp::experiments;

namespace {

constexpr std::uint64_t kUnpackedLimit = std::uint64_t{1} << 22;

void index(std::span<const std::byte> archive) {
  const auto read_at = [&](std::uint64_t offset, std::span<std::byte> bytes) {
    fuzz::require(offset <= archive.size() && bytes.size() <= archive.size() - offset,
                  "what is read lies in the archive");
    std::memcpy(bytes.data(), archive.data() + offset, bytes.size());
  };
  for (const TarMember& member : index_tar(archive.size(), read_at, "archive")) {
    fuzz::require(member.offset <= archive.size() && member.bytes <= archive.size() - member.offset,
                  "a member lies in the archive");
    fuzz::require(!member.name.empty() && member.name.front() != '/', "a name below the root");
    fuzz::require(("/" + member.name + "/").find("/../") == std::string::npos, "no name leads out");
  }
}

}  // namespace

SBP_FUZZ_TARGET(tar) {
  const std::span<const std::byte> bytes = std::as_bytes(input);
  fuzz::refused_or([&] { index(bytes); });
  if (!is_compressed(bytes)) return;
  fuzz::refused_or([&] {
    const std::vector<std::byte> unpacked = unpack(bytes, "archive", kUnpackedLimit);
    fuzz::require(unpacked.size() <= kUnpackedLimit, "no bomb is unpacked");
    index(unpacked);
  });
}
