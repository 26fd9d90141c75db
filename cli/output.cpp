#include "cli/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "sbp/base/error.h"

namespace sbp::cli {
namespace {

std::string reason(int error_number) {
  return std::strerror(error_number);
}

[[noreturn]] void fail_to_write(const std::string& path, int error_number) {
  throw Error(concat("cannot write '", path, "': ", reason(error_number)));
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }
  // Zero, or the error that closing found (a full network disk tells only then).
  int close() {
    const int result = ::close(std::exchange(number_, -1));
    return result == 0 ? 0 : errno;
  }

 private:
  int number_;
};

// Removes a file at the end of the scope unless it was kept.
class Removal {
 public:
  explicit Removal(std::string path) : path_(std::move(path)) {}
  ~Removal() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Removal(const Removal&) = delete;
  Removal& operator=(const Removal&) = delete;

  void keep() { path_.clear(); }

 private:
  std::string path_;
};

constexpr std::size_t kLargestFile = std::size_t{1} << 30;

// Zero, or the error.
int write_all(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

// Zero, or the error.
int rename_to(const std::string& from, const std::string& to, bool replace) {
  const unsigned flags = replace ? 0U : RENAME_NOREPLACE;
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) == 0) return 0;
  // Some file systems know no flags; the check at the start has to do there.
  if (errno != EINVAL || replace) return errno;
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

// A new file of this process alone: what lies there already is somebody else's.
int open_temporary(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

OutputFile::OutputFile(std::string path, bool force)
    : path_(std::move(path)), target_(path_), folder_(folder_of(path_)), force_(force) {
  struct stat status {};
  if (::stat(folder_.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    throw UsageError(concat("cannot write '", path_, "': there is no folder '", folder_, "'"));
  }
  if (::stat(target_.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      throw UsageError(concat("cannot write '", path_, "': it is a folder; name a file in it"));
    }
    in_place_ = !S_ISREG(status.st_mode);
    if (!in_place_ && !force_) {
      throw UsageError(concat("cannot write '", path_, "': it exists; --force replaces it"));
    }
    if (!in_place_) {
      // Behind a link the file itself is replaced, and the link stays.
      target_ = std::filesystem::canonical(target_).string();
      folder_ = folder_of(target_);
    }
  } else if (errno == ENOENT && ::lstat(target_.c_str(), &status) == 0) {
    throw UsageError(concat("cannot write '", path_, "': it is a link to nowhere; remove it"));
  } else if (errno != ENOENT || path_.ends_with('/')) {
    fail_to_write(path_, errno == ENOENT ? EISDIR : errno);
  }
  if (in_place_) {
    if (::access(target_.c_str(), W_OK) != 0) fail_to_write(path_, errno);
    return;
  }
  const std::string temporary = temporary_path();
  const Descriptor probe(open_temporary(temporary));
  if (probe.number() < 0) fail_to_write(errno == EEXIST ? temporary : path_, errno);
  const Removal removal(temporary);
}

std::string OutputFile::temporary_path() const {
  // Short, so that a file name of any length has one; never ends in .json.
  return concat(folder_, "/.sbp-output-", ::getpid(), ".part");
}

void OutputFile::write(std::string_view content) const {
  if (!in_place_) return write_aside(content);
  Descriptor file(::open(target_.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.number() < 0) fail_to_write(path_, errno);
  if (const int error = write_all(file.number(), content)) fail_to_write(path_, error);
  if (const int error = file.close()) fail_to_write(path_, error);
}

void OutputFile::write_aside(std::string_view content) const {
  const std::string temporary = temporary_path();
  Descriptor file(open_temporary(temporary));
  if (file.number() < 0) fail_to_write(errno == EEXIST ? temporary : path_, errno);
  Removal removal(temporary);
  if (const int error = write_all(file.number(), content)) fail_to_write(path_, error);
  if (::fsync(file.number()) != 0) fail_to_write(path_, errno);
  if (const int error = file.close()) fail_to_write(path_, error);
  const int error = rename_to(temporary, target_, force_);
  if (error == EEXIST) {
    removal.keep();
    throw Error(concat("cannot write '", path_, "': it came to exist meanwhile; the result is in '",
                       temporary, "'"));
  }
  if (error != 0) fail_to_write(path_, error);
  removal.keep();
}

void write_stdout(std::string_view content) {
  if (const int error = write_all(STDOUT_FILENO, content)) {
    throw Error(concat("cannot write to standard output: ", reason(error)));
  }
}

std::string read_file(const std::string& path) {
  const bool standard = path == "-";
  const int number = standard ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const Descriptor file(number);
  if (number < 0) throw Error(concat("cannot read '", path, "': ", reason(errno)));
  std::string content;
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t size = ::read(number, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw Error(concat("cannot read '", path, "': ", reason(errno)));
    if (size == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(size));
    if (content.size() > kLargestFile) {
      throw Error(concat("cannot read '", path, "': it is larger than any report (1 GiB)"));
    }
  }
}

}  // namespace sbp::cli
