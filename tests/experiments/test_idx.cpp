#include <doctest/doctest.h>
#include <zlib.h>

#include "experiments/data/idx.h"
#include "tests/experiments/scratch_folder.h"

namespace data = sbp::experiments;
using sbp::tests::contains;
using sbp::tests::error_text;
using sbp::tests::ScratchFolder;

namespace {

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string zipped(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(zipped.data());
  stream.avail_out = static_cast<uInt>(zipped.size());
  deflate(&stream, Z_FINISH);
  zipped.resize(stream.total_out);
  deflateEnd(&stream);
  return zipped;
}

// Two rows of three bytes.
const std::string kSmall(
    "\0\0\x08\x02\0\0\0\x02\0\0\0\x03"
    "abcdef",
    18);

}  // namespace

TEST_CASE("idx: plain and gzipped files read alike") {
  const ScratchFolder folder;
  for (const std::string& path :
       {folder.write("plain", kSmall), folder.write("zipped.gz", gzip(kSmall))}) {
    const data::IdxArray array = data::read_idx(path, 2);
    CHECK(array.sizes == std::vector<std::int64_t>{2, 3});
    CHECK(std::string(array.bytes.begin(), array.bytes.end()) == "abcdef");
  }
}

TEST_CASE("idx: an array without elements") {
  const ScratchFolder folder;
  const data::IdxArray array =
      data::read_idx(folder.write("x", std::string("\0\0\x08\x01\0\0\0\0", 8)), 1);
  CHECK(array.sizes == std::vector<std::int64_t>{0});
  CHECK(array.bytes.empty());
}

TEST_CASE("idx: a file larger than one read") {
  const ScratchFolder folder;
  std::string large("\0\0\x08\x01\x01\0\0\0", 8);  // 16 MiB
  for (std::size_t i = 0; i < (std::size_t{1} << 24); ++i) large += static_cast<char>(i * 7 % 251);
  const data::IdxArray array = data::read_idx(folder.write("x", gzip(large)), 1);
  REQUIRE(array.bytes.size() == std::size_t{1} << 24);
  CHECK(std::equal(array.bytes.begin(), array.bytes.end(), large.begin() + 8,
                   [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); }));
}

TEST_CASE("idx: what is wrong is named") {
  const ScratchFolder folder;
  const auto read = [&](const std::string& bytes) {
    const std::string path = folder.write("x", bytes);
    const std::string text = error_text([&] { data::read_idx(path, 2); });
    CHECK(contains(text, "cannot read IDX file '" + path + "': "));
    return text;
  };
  std::string wrong_magic = kSmall;
  wrong_magic[3] = 3;
  CHECK(contains(read(wrong_magic), "magic number is 0x00000803, not 0x00000802"));
  CHECK(contains(read("not an IDX file at all"), "magic number is 0x6e6f7420"));
  CHECK(contains(read(""), "ends inside its header, before the magic number"));
  CHECK(contains(read(kSmall.substr(0, 9)), "ends inside its header, before the sizes"));
  CHECK(contains(read(kSmall.substr(0, 17)), "promises 6 bytes of data, 5 are there"));
  CHECK(contains(read(kSmall + "g"), "bytes follow the 6"));
  std::string huge = kSmall;
  for (std::size_t i = 4; i < 12; ++i) huge[i] = '\xff';
  CHECK(contains(read(huge), "more data than any machine holds"));
  huge[4] = 0;
  CHECK(contains(read(huge), "6 are there"));  // found out without holding 2^56 bytes
}

TEST_CASE("idx: damaged gzip data") {
  const ScratchFolder folder;
  const std::string zipped = gzip(kSmall);
  const auto read = [&](const std::string& bytes) {
    return error_text([&] { data::read_idx(folder.write("x.gz", bytes), 2); });
  };
  REQUIRE(read(zipped).empty());
  std::string wrong_checksum = zipped;
  wrong_checksum[zipped.size() - 8] ^= 1;
  CHECK(contains(read(wrong_checksum), "incorrect data check"));
  // Cut anywhere, or with any one bit turned over, nothing worse happens than an Error.
  for (std::size_t length = 0; length < zipped.size(); ++length) {
    CAPTURE(length);
    CHECK(!read(zipped.substr(0, length)).empty());
  }
  for (std::size_t bit = 0; bit < zipped.size() * 8; ++bit) {
    std::string damaged = zipped;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    read(damaged);
  }
}

TEST_CASE("idx: missing files and folders") {
  const ScratchFolder folder;
  CHECK(contains(error_text([&] { data::read_idx(folder.path("none"), 1); }),
                 "No such file or directory"));
  CHECK(contains(error_text([&] { data::read_idx(folder.path(), 1); }), "it is a folder"));
}
