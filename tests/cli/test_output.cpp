#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "cli/output.h"
#include "sbp/base/error.h"

using namespace sbp;
using namespace sbp::cli;

namespace {

// A folder of its own, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "sbp_output_XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file(const std::string& name) const { return path_ / name; }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

 private:
  std::filesystem::path path_;
};

void fill(const std::string& path, const std::string& content) {
  std::ofstream(path) << content;
}

}  // namespace

TEST_CASE("a file is written whole, and only it") {
  const Folder folder;
  const OutputFile output(folder.file("a.json"), false);
  CHECK(folder.names().empty());  // checking leaves nothing behind
  output.write("content\n");
  CHECK(folder.names() == std::vector<std::string>{"a.json"});
  CHECK(read_file(folder.file("a.json")) == "content\n");
}

TEST_CASE("a new file has the permissions that the user wants") {
  const Folder folder;
  const mode_t before = ::umask(0027);
  OutputFile(folder.file("a"), false).write("x");
  ::umask(before);
  struct stat status {};
  REQUIRE(::stat(folder.file("a").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("an existing file needs force") {
  const Folder folder;
  fill(folder.file("a"), "old");
  CHECK_THROWS_WITH_AS(
      OutputFile(folder.file("a"), false),
      concat("cannot write '", folder.file("a"), "': it exists; --force replaces it").c_str(),
      UsageError);
  CHECK(read_file(folder.file("a")) == "old");
  OutputFile(folder.file("a"), true).write("new");
  CHECK(read_file(folder.file("a")) == "new");
}

TEST_CASE("a missing folder, or a folder in the place of the file, is found at once") {
  const Folder folder;
  CHECK_THROWS_AS(OutputFile(folder.file("no/a"), true), UsageError);
  CHECK_THROWS_AS(OutputFile(folder.file(""), true), UsageError);
  fill(folder.file("plain"), "");
  CHECK_THROWS_AS(OutputFile(folder.file("plain/a"), true), UsageError);
  CHECK_THROWS_AS(OutputFile(folder.file(std::string(300, 'x')), true), Error);
}

TEST_CASE("a file that came to exist during the work is not replaced, nor the work lost") {
  const Folder folder;
  const OutputFile output(folder.file("a"), false);
  fill(folder.file("a"), "theirs");
  std::string sentence;
  try {
    output.write("ours");
  } catch (const Error& error) {
    sentence = error.what();
  }
  CHECK(read_file(folder.file("a")) == "theirs");
  const std::string marker = "the result is in '";
  const std::size_t place = sentence.find(marker);
  REQUIRE(place != std::string::npos);
  std::string kept = sentence.substr(place + marker.size());
  kept.pop_back();
  CHECK(read_file(kept) == "ours");
}

TEST_CASE("a folder that vanishes during the work is an error that leaves nothing") {
  const Folder folder;
  std::filesystem::create_directory(folder.file("sub"));
  const OutputFile output(folder.file("sub/a"), false);
  std::filesystem::remove(folder.file("sub"));
  CHECK_THROWS_AS(output.write("x"), Error);
  CHECK(folder.names().empty());
}

TEST_CASE("behind a link the file is replaced, not the link") {
  const Folder folder;
  fill(folder.file("real"), "old");
  std::filesystem::create_symlink("real", folder.file("link"));
  OutputFile(folder.file("link"), true).write("new");
  CHECK(std::filesystem::is_symlink(folder.file("link")));
  CHECK(read_file(folder.file("real")) == "new");
}

TEST_CASE("a full device is an error, and stays a device") {
  const OutputFile output("/dev/full", false);
  CHECK_THROWS_WITH_AS(output.write("x"), "cannot write '/dev/full': No space left on device",
                       Error);
  CHECK(std::filesystem::is_character_file("/dev/full"));
}

TEST_CASE("a folder that takes no files is found before the work") {
  // Not even root can make a file there.
  CHECK_THROWS_AS(OutputFile("/proc/report.json", false), Error);
}

TEST_CASE("what cannot be read is named") {
  CHECK_THROWS_WITH_AS(read_file("/no/such/file"),
                       "cannot read '/no/such/file': No such file or directory", Error);
  CHECK_THROWS_WITH_AS(read_file("/tmp"), "cannot read '/tmp': Is a directory", Error);
}
