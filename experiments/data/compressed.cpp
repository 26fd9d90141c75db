#include "experiments/data/compressed.h"

#include <lzma.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr std::array<unsigned char, 6> kXzMagic = {0xFD, '7', 'z', 'X', 'Z', 0x00};
constexpr std::array<unsigned char, 2> kGzipMagic = {0x1F, 0x8B};
constexpr std::uint64_t kDictionaryBytes = std::uint64_t{256} << 20;

template <std::size_t N>
bool starts_with(std::span<const std::byte> bytes, const std::array<unsigned char, N>& magic) {
  return bytes.size() >= N &&
         std::equal(magic.begin(), magic.end(), bytes.begin(), [](unsigned char a, std::byte b) {
           return a == std::to_integer<unsigned char>(b);
         });
}

// Grows the output and counts it; a decoder fills what room() gives.
class Output {
 public:
  Output(const std::string& path, std::uint64_t limit) : path_(path), limit_(limit) {}

  std::span<std::byte> room() {
    if (used_ > limit_) {
      fail(concat("it unpacks to more than ", limit_, " bytes, the most that is read"));
    }
    if (used_ == bytes_.size()) {
      // One byte above the limit, so that going over it is seen.
      const std::uint64_t wanted = std::max<std::uint64_t>(bytes_.size() * 2, 1 << 20);
      bytes_.resize(static_cast<std::size_t>(std::min(wanted, limit_ + 1)));
    }
    return std::span(bytes_).subspan(used_);
  }
  void add(std::size_t count) { used_ += count; }

  std::vector<std::byte> finish() {
    room();
    bytes_.resize(used_);
    return std::move(bytes_);
  }

  [[noreturn]] void fail(std::string_view reason) const {
    throw Error(concat("cannot unpack '", path_, "': ", reason));
  }

 private:
  const std::string& path_;
  std::uint64_t limit_;
  std::vector<std::byte> bytes_;
  std::size_t used_ = 0;
};

std::string_view reason_of(lzma_ret code) {
  switch (code) {
    case LZMA_BUF_ERROR: return "it is truncated";
    case LZMA_MEMLIMIT_ERROR: return "its dictionary needs more than 256 MiB of memory";
    case LZMA_MEM_ERROR: return "there is not enough memory";
    case LZMA_FORMAT_ERROR: return "it is not an xz file";
    case LZMA_OPTIONS_ERROR: return "it uses options of xz that are not known";
    default: return "its xz data are damaged";
  }
}

class XzStream {
 public:
  XzStream() = default;
  ~XzStream() { lzma_end(&stream); }
  XzStream(const XzStream&) = delete;
  XzStream& operator=(const XzStream&) = delete;

  lzma_stream stream = LZMA_STREAM_INIT;
};

void unpack_xz(std::span<const std::byte> file, Output& output) {
  XzStream owner;
  lzma_stream& stream = owner.stream;
  lzma_ret code = lzma_stream_decoder(&stream, kDictionaryBytes, LZMA_CONCATENATED);
  if (code != LZMA_OK) output.fail(reason_of(code));
  stream.next_in = reinterpret_cast<const std::uint8_t*>(file.data());
  stream.avail_in = file.size();
  while (code != LZMA_STREAM_END) {
    const std::span<std::byte> room = output.room();
    stream.next_out = reinterpret_cast<std::uint8_t*>(room.data());
    stream.avail_out = room.size();
    code = lzma_code(&stream, LZMA_FINISH);
    if (code != LZMA_OK && code != LZMA_STREAM_END) output.fail(reason_of(code));
    output.add(room.size() - stream.avail_out);
  }
}

class GzipStream {
 public:
  GzipStream() = default;
  ~GzipStream() { inflateEnd(&stream); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  z_stream stream{};
};

void unpack_gzip(std::span<const std::byte> file, Output& output) {
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
  GzipStream owner;
  z_stream& stream = owner.stream;
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) output.fail("there is not enough memory");
  // zlib does not write to its input.
  auto* next = reinterpret_cast<Bytef*>(const_cast<std::byte*>(file.data()));
  std::size_t left = file.size();
  int code = Z_OK;
  while (code != Z_STREAM_END || left > 0) {
    if (code == Z_STREAM_END && inflateReset(&stream) != Z_OK) output.fail("it cannot be reset");
    const std::span<std::byte> room = output.room();
    stream.next_in = next;
    stream.avail_in = static_cast<uInt>(std::min(left, kMost));
    stream.next_out = reinterpret_cast<Bytef*>(room.data());
    stream.avail_out = static_cast<uInt>(std::min(room.size(), kMost));
    const uInt given = stream.avail_in;
    const uInt space = stream.avail_out;
    code = inflate(&stream, Z_NO_FLUSH);
    next += given - stream.avail_in;
    left -= given - stream.avail_in;
    output.add(space - stream.avail_out);
    if (code == Z_BUF_ERROR) output.fail("it is truncated");
    if (code != Z_OK && code != Z_STREAM_END) output.fail("its gzip data are damaged");
    if (code == Z_OK && left == 0 && stream.avail_out != 0) output.fail("it is truncated");
  }
}

}  // namespace

bool is_compressed(std::span<const std::byte> start) {
  return starts_with(start, kXzMagic) || starts_with(start, kGzipMagic);
}

std::vector<std::byte> unpack(std::span<const std::byte> file, const std::string& path,
                              std::uint64_t limit) {
  Output output(path, limit);
  if (starts_with(file, kXzMagic)) {
    unpack_xz(file, output);
  } else if (starts_with(file, kGzipMagic)) {
    unpack_gzip(file, output);
  } else {
    output.fail("it is neither xz nor gzip");
  }
  return output.finish();
}

}  // namespace sbp::experiments
