#include "experiments/data/idx.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <utility>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

// Reads a gzipped or plain file; zlib tells which it is.
class GzipReader {
 public:
  explicit GzipReader(const std::string& path) : path_(path) {
    std::error_code code;
    if (std::filesystem::is_directory(path, code)) fail("it is a folder, not a file");
    errno = 0;
    file_.reset(gzopen(path.c_str(), "rb"));
    if (!file_) fail(std::strerror(errno));
    gzbuffer(file_.get(), 1 << 17);
  }

  // Fills `bytes` as far as the file goes, and says how far that was.
  std::size_t read(std::span<std::uint8_t> bytes) {
    const int count = gzread(file_.get(), bytes.data(), static_cast<unsigned>(bytes.size()));
    int code = Z_OK;
    const char* reason = gzerror(file_.get(), &code);
    if (count < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      fail(code == Z_BUF_ERROR ? "the compressed data end too early" : reason);
    }
    return static_cast<std::size_t>(count);
  }

  [[noreturn]] void fail(std::string_view reason) const {
    throw Error(fmt::format("cannot read IDX file '{}': {}", path_, reason));
  }

 private:
  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };

  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
};

std::uint32_t read_big_endian(GzipReader& reader, std::string_view what) {
  std::array<std::uint8_t, 4> bytes{};
  if (reader.read(bytes) != bytes.size()) {
    reader.fail(fmt::format("it ends inside its header, before the {}", what));
  }
  std::uint32_t number = 0;
  for (const std::uint8_t byte : bytes) number = (number << 8) | byte;
  return number;
}

// Grows the array as data arrive, so that sizes invented by a damaged header cost no memory.
void read_payload(GzipReader& reader, std::size_t wanted, std::vector<std::uint8_t>& bytes) {
  constexpr std::size_t kChunkBytes = std::size_t{8} << 20;
  while (bytes.size() < wanted) {
    const std::size_t start = bytes.size();
    const std::size_t chunk = std::min(kChunkBytes, wanted - start);
    bytes.resize(start + chunk);
    const std::size_t count = reader.read(std::span(bytes).subspan(start, chunk));
    if (count < chunk) {
      reader.fail(fmt::format("it is truncated: its header promises {} bytes of data, {} are there",
                              wanted, start + count));
    }
  }
  std::array<std::uint8_t, 1> extra{};
  if (reader.read(extra) != 0) {
    reader.fail(fmt::format("bytes follow the {} that its header promises", wanted));
  }
}

}  // namespace

IdxArray read_idx(const std::string& path, int dimensions) {
  GzipReader reader(path);
  const std::uint32_t expected = 0x0800u + static_cast<std::uint32_t>(dimensions);
  const std::uint32_t magic = read_big_endian(reader, "magic number");
  if (magic != expected) {
    reader.fail(
        fmt::format("its magic number is 0x{:08x}, not 0x{:08x} (unsigned bytes in {} dimension{})",
                    magic, expected, dimensions, dimensions == 1 ? "" : "s"));
  }
  IdxArray array;
  std::size_t total = 1;
  for (int i = 0; i < dimensions; ++i) {
    const std::size_t size = read_big_endian(reader, "sizes");
    if (size != 0 && total > std::numeric_limits<std::size_t>::max() / 2 / size) {
      reader.fail("its header promises more data than any machine holds");
    }
    total *= size;
    array.sizes.push_back(static_cast<std::int64_t>(size));
  }
  read_payload(reader, total, array.bytes);
  return array;
}

}  // namespace sbp::experiments
