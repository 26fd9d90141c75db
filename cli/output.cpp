#include "cli/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "sbp/base/descriptor.h"
#include "sbp/base/error.h"
#include "sbp/base/whole_file.h"

namespace sbp::cli {
namespace {

[[noreturn]] void fail_to_write(const std::string& path, int error_number) {
  throw Error(concat("cannot write '", path, "': ", reason_of(error_number)));
}

constexpr std::size_t kLargestFile = std::size_t{1} << 30;

}  // namespace

OutputFile::OutputFile(std::string path, bool force, Content content)
    : path_(std::move(path)), target_(path_), force_(force), is_stdout_(path_ == "-") {
  if (is_stdout_) {
    if (content == Content::text || ::isatty(STDOUT_FILENO) != 1) return;
    throw UsageError(
        "cannot write to standard output: it is a terminal, and the result is no text; name a "
        "file, or send it into one");
  }
  const std::string folder = folder_of(path_);
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    throw UsageError(concat("cannot write '", path_, "': there is no folder '", folder, "'"));
  }
  if (::stat(target_.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      throw UsageError(concat("cannot write '", path_, "': it is a folder; name a file in it"));
    }
    in_place_ = !S_ISREG(status.st_mode);
    if (!in_place_ && !force_) {
      throw UsageError(concat("cannot write '", path_, "': it exists; --force replaces it"));
    }
    // Behind a link the file itself is replaced, and the link stays.
    if (!in_place_) target_ = std::filesystem::canonical(target_).string();
  } else if (errno == ENOENT && ::lstat(target_.c_str(), &status) == 0) {
    throw UsageError(concat("cannot write '", path_, "': it is a link to nowhere; remove it"));
  } else if (errno != ENOENT || path_.ends_with('/')) {
    fail_to_write(path_, errno == ENOENT ? EISDIR : errno);
  }
  if (in_place_) {
    if (::access(target_.c_str(), W_OK) != 0) fail_to_write(path_, errno);
    return;
  }
  const WholeFile probe(target_, {.shown = path_});
}

void OutputFile::write(std::string_view content) const {
  if (is_stdout_) return write_stdout(content);
  if (!in_place_) return write_aside(content);
  Descriptor file(::open(target_.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.number() < 0) fail_to_write(path_, errno);
  if (const int error = write_all(file.number(), content)) fail_to_write(path_, error);
  if (const int error = file.close()) fail_to_write(path_, error);
}

void OutputFile::write_aside(std::string_view content) const {
  WholeFile file(target_, {.shown = path_});
  file.write(content);
  if (file.commit(force_ ? WholeFile::Existing::replace : WholeFile::Existing::refuse)) return;
  throw Error(concat("cannot write '", path_, "': it came to exist meanwhile; the result is in '",
                     file.aside(), "'"));
}

void write_stdout(std::string_view content) {
  if (const int error = write_all(STDOUT_FILENO, content)) {
    throw Error(concat("cannot write to standard output: ", reason_of(error)));
  }
}

std::string read_file(const std::string& path) {
  const bool standard = path == "-";
  const int number = standard ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const Descriptor file(number);
  if (number < 0) throw Error(concat("cannot read '", path, "': ", reason_of(errno)));
  std::string content;
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t size = ::read(number, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw Error(concat("cannot read '", path, "': ", reason_of(errno)));
    if (size == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(size));
    if (content.size() > kLargestFile) {
      throw Error(concat("cannot read '", path, "': it is larger than any report (1 GiB)"));
    }
  }
}

}  // namespace sbp::cli
