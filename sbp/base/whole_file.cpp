#include "sbp/base/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "sbp/base/error.h"

namespace sbp {
namespace {

constexpr std::string_view kSuffix = ".part";  // never .json: a reader of results skips it

std::string prefix_of(std::string_view purpose) {
  return concat(".sbp-", purpose, "-");
}

// Zero, or the error.
int rename_to(const std::string& from, const std::string& to, WholeFile::Existing existing) {
  const bool replace = existing == WholeFile::Existing::replace;
  const unsigned flags = replace ? 0U : RENAME_NOREPLACE;
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) == 0) return 0;
  if (errno != EINVAL || replace) return errno;
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

// The new name is on the disk only when the folder is. Zero, or the error.
int flush_folder(const std::string& folder) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.number() < 0) return errno == EACCES ? 0 : errno;  // writable but not readable
  if (::fsync(opened.number()) == 0 || errno == EINVAL || errno == ENOTSUP) return 0;
  return errno;
}

}  // namespace

WholeFile::WholeFile(std::string target, const Options& options)
    : target_(std::move(target)),
      shown_(options.shown.empty() ? target_ : options.shown),
      folder_(folder_of(target_)),
      // Short, so that a file name of any length has one.
      aside_(concat(folder_, "/", prefix_of(options.purpose), ::getpid(), kSuffix)),
      // A new file of this process alone: what lies there already is somebody else's.
      file_(::open(aside_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666)) {
  if (file_.number() >= 0) return;
  keeps_aside_ = true;
  if (errno == EEXIST) shown_ = aside_;
  fail(errno);
}

WholeFile::~WholeFile() {
  if (!keeps_aside_) ::unlink(aside_.c_str());
}

void WholeFile::fail(int error_number) const {
  throw Error(concat("cannot write '", shown_, "': ", reason_of(error_number)));
}

void WholeFile::write(std::string_view bytes) {
  if (const int error = write_all(file_.number(), bytes)) fail(error);
}

bool WholeFile::commit(Existing existing) {
  if (::fsync(file_.number()) != 0) fail(errno);
  if (const int error = file_.close()) fail(error);
  const int error = rename_to(aside_, target_, existing);
  keeps_aside_ = error == 0 || error == EEXIST;
  if (error == EEXIST) return false;
  if (error != 0) fail(error);
  if (const int flush_error = flush_folder(folder_)) fail(flush_error);
  return true;
}

void move_whole(const std::string& file, const std::string& target) {
  int error = rename_to(file, target, WholeFile::Existing::replace);
  if (error == 0) error = flush_folder(folder_of(target));
  if (error != 0) throw Error(concat("cannot write '", target, "': ", reason_of(error)));
}

bool is_left_aside(std::string_view file_name, std::string_view purpose) {
  return file_name.starts_with(prefix_of(purpose)) && file_name.ends_with(kSuffix);
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

void make_folder(const std::string& path, std::string_view what) {
  if (::mkdir(path.c_str(), 0777) == 0) return;
  const int error = errno;
  if (std::filesystem::is_directory(path)) return;
  const std::string attempt = concat("cannot make ", what, " '", path, "': ");
  if (error == EEXIST) throw UsageError(attempt + "that is a file; name a folder");
  if (error == ENOENT && !std::filesystem::is_directory(folder_of(path))) {
    throw UsageError(concat(attempt, "there is no folder '", folder_of(path), "'"));
  }
  throw Error(attempt + reason_of(error));
}

std::string reason_of(int error_number) {
  return std::strerror(error_number);
}

}  // namespace sbp
