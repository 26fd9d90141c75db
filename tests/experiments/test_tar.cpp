#include <doctest/doctest.h>

#include <cstring>

#include "experiments/data/compressed.h"
#include "experiments/data/file_set.h"
#include "experiments/data/tar.h"
#include "tests/experiments/sample_files.h"
#include "tests/experiments/scratch_folder.h"

namespace data = sbp::experiments;
using sbp::tests::compress_gzip;
using sbp::tests::compress_xz;
using sbp::tests::contains;
using sbp::tests::error_text;
using sbp::tests::ScratchFolder;
using sbp::tests::tar_end;
using sbp::tests::tar_member;
using sbp::tests::tar_of;

namespace {

std::string contents(const data::FileSet& set, std::size_t index) {
  std::vector<std::byte> bytes;
  set.read(set.files().at(index), bytes);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string open_error(const std::string& bytes, std::string_view name = "a.tar") {
  const ScratchFolder folder;
  const std::string path = folder.write(name, bytes);
  return error_text([&] { data::open_file_set(path); });
}

std::string pax(const std::string& key, const std::string& value) {
  const std::string rest = " " + key + "=" + value + "\n";
  std::size_t length = rest.size() + 1;
  while (std::to_string(length).size() + rest.size() != length) ++length;
  return std::to_string(length) + rest;
}

}  // namespace

TEST_CASE("tar: files by name, read where they lie, plain and compressed") {
  const std::string large(70000, 'b');
  const std::string archive =
      tar_member("./d/", "", '5') + tar_of({{"./d/two", large}, {"d//one", "1"}, {"empty", ""}});
  const ScratchFolder folder;
  for (const std::string& path :
       {folder.write("a.tar", archive), folder.write("a.tar.xz", compress_xz(archive)),
        folder.write("a.tar.gz", compress_gzip(archive)),
        folder.write("two.tar.xz",
                     compress_xz(archive.substr(0, 777)) + compress_xz(archive.substr(777)))}) {
    CAPTURE(path);
    const auto set = data::open_file_set(path);
    REQUIRE(set->files().size() == 3);
    CHECK(set->files()[0].name == "d/one");
    CHECK(set->folders() == std::vector<std::string>{"d"});
    CHECK(contents(*set, 0) == "1");
    CHECK(contents(*set, 1) == large);
    CHECK(contents(*set, 2).empty());
    CHECK(set->describe(set->files()[0]) == path + ": d/one");
  }
}

TEST_CASE("tar: long names and sizes of pax and GNU") {
  const std::string name = std::string(150, 'n') + "/" + std::string(90, 'm');
  const ScratchFolder folder;
  for (const std::string& extra : {tar_member("x", pax("mtime", "1.5") + pax("path", name), 'x'),
                                   tar_member("././@LongLink", name + std::string(1, '\0'), 'L')}) {
    const std::string path =
        folder.write("long.tar", extra + tar_member("cut", "text") + tar_of({{"next", "n"}}));
    const auto set = data::open_file_set(path);
    REQUIRE(set->files().size() == 2);
    CHECK(set->files()[0].name == "next");
    CHECK(set->files()[1].name == name);
    CHECK(contents(*set, 1) == "text");
  }
  const std::string path = folder.write("size.tar", tar_member("x", pax("size", "3"), 'x') +
                                                        tar_member("f", "abc", '0', 0) + tar_end());
  CHECK(contents(*data::open_file_set(path), 0) == "abc");
}

TEST_CASE("tar: names that lead out of the archive are refused by name") {
  CHECK(contains(open_error(tar_of({{"/etc/passwd", "x"}})),
                 "member '/etc/passwd' has an absolute path"));
  CHECK(contains(open_error(tar_of({{"a/../../b.jpg", "x"}})), "member 'a/../../b.jpg' leads out"));
  CHECK(contains(open_error(tar_of({{"..", "x"}})), "member '..' leads out"));
  CHECK(contains(open_error(tar_member("x", pax("path", "../y"), 'x') + tar_of({{"ok", "x"}})),
                 "member '../y' leads out"));
  CHECK(open_error(tar_of({{"a/..b/c..", "x"}})).empty());
  CHECK(contains(open_error(tar_member("l", "", '2') + tar_end()), "member 'l' is a link"));
  CHECK(contains(open_error(tar_member("d", "", '3') + tar_end()), "member 'd' is of type '3'"));
  CHECK(contains(open_error(tar_of({{"a", "1"}, {"./a", "2"}})), "has the member 'a' twice"));
}

TEST_CASE("tar: sizes that lie") {
  CHECK(contains(
      open_error(tar_member("big", "abc", '0', 1'000'000) + tar_end()),
      "member 'big' claims 1000000 bytes at byte 512, but the archive ends 1536 bytes on"));
  // Too small: what follows is no header.
  const std::string text(2000, 't');
  CHECK(contains(open_error(tar_member("small", text, '0', 1) + tar_end()),
                 "no member's header is at byte 1024"));
  CHECK(contains(
      open_error(tar_member("x", pax("size", "99999999999999999999"), 'x') + tar_of({{"f", ""}})),
      "has the size '99999999999999999999'"));
  CHECK(contains(open_error(tar_member("x", "7 a=bbbbb\n", 'x') + tar_of({{"f", ""}})),
                 "pax header at byte 512 is damaged"));
}

TEST_CASE("tar: cut anywhere, it is refused") {
  const std::string archive = tar_of({{"one", "1"}, {"two", std::string(600, '2')}});
  for (std::size_t length = 0; length < archive.size() - 1024 + 512; length += 64) {
    CAPTURE(length);
    CHECK(contains(open_error(archive.substr(0, length)), "'"));
  }
  CHECK(contains(open_error(archive.substr(0, archive.size() - 1024)), "it is truncated"));
  CHECK(open_error(archive).empty());
}

TEST_CASE("tar: damage anywhere is an error or a list of files, never a crash") {
  const std::string archive = tar_member("x", pax("path", "p"), 'x') + tar_of({{"one", "1"}});
  for (std::size_t place = 0; place < archive.size() - 1024; ++place) {
    std::string damaged = archive;
    damaged[place] = static_cast<char>(damaged[place] ^ 0x81);
    const bool in_header = place < 512 || (place >= 1024 && place < 1536);
    const data::ReadAt read_at = [&](std::uint64_t offset, std::span<std::byte> bytes) {
      std::memcpy(bytes.data(), damaged.data() + offset, bytes.size());
    };
    const std::string error =
        error_text([&] { data::index_tar(damaged.size(), read_at, "damaged.tar"); });
    if (in_header) CHECK(!error.empty());
  }
}

TEST_CASE("compressed: truncated, damaged, and bombs") {
  const std::string archive = tar_of({{"one", std::string(100000, 'x')}});
  for (const auto& [name, packed] : {std::pair{"a.tar.xz", compress_xz(archive)},
                                     std::pair{"a.tar.gz", compress_gzip(archive)}}) {
    CAPTURE(name);
    CHECK(contains(open_error(packed.substr(0, packed.size() / 2), name), "it is truncated"));
    CHECK(contains(open_error(packed.substr(0, packed.size() - 1), name), "it is truncated"));
    std::string damaged = packed;
    damaged[damaged.size() / 2] = static_cast<char>(~damaged[damaged.size() / 2]);
    CHECK(!open_error(damaged, name).empty());
    const auto bytes = std::as_bytes(std::span(packed));
    CHECK(data::unpack(bytes, name, archive.size()).size() == archive.size());
    CHECK(error_text([&] { data::unpack(bytes, name, archive.size() - 1); }) ==
          sbp::concat("cannot unpack '", name, "': it unpacks to more than ", archive.size() - 1,
                      " bytes, the most that is read"));
    CHECK(contains(error_text([&] { data::unpack(bytes, name, 10); }), "more than 10 bytes"));
  }
  CHECK(!data::is_compressed(std::as_bytes(std::span(archive))));
}

TEST_CASE("file set: a folder, without what is hidden") {
  const ScratchFolder folder;
  std::filesystem::create_directories(folder.path("a/empty"));
  std::filesystem::create_directories(folder.path(".git"));
  folder.write("a/one", "1");
  folder.write("two", "22");
  folder.write(".git/three", "3");
  folder.write("a/.hidden", "4");
  const auto set = data::open_file_set(folder.path());
  REQUIRE(set->files().size() == 2);
  CHECK(set->files()[0].name == "a/one");
  CHECK(contents(*set, 1) == "22");
  CHECK(set->describe(set->files()[0]) == folder.path("a/one"));
  CHECK(set->folders() == std::vector<std::string>{"a", "a/empty"});
  std::filesystem::create_directory_symlink(folder.path("a"), folder.path("a/loop"));
  CHECK(contains(error_text([&] { data::open_file_set(folder.path()); }), "loop"));
  CHECK(contains(error_text([&] { data::open_file_set(folder.path("none")); }),
                 "No such file or directory"));
}
