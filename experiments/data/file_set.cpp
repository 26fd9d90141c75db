#include "experiments/data/file_set.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>  // pread

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <span>

#include "experiments/data/compressed.h"
#include "experiments/data/files.h"
#include "experiments/data/tar.h"
#include "sbp/base/error.h"
#include "sbp/base/whole_file.h"

namespace sbp::experiments {
namespace {

constexpr int kMaximumDepth = 16;

void check_size(std::uint64_t bytes, const std::string& name) {
  if (bytes > kMaximumFileBytes) {
    throw Error(
        concat("'", name, "' has ", bytes, " bytes; at most ", kMaximumFileBytes, " are read"));
  }
}

// A regular file, open for reading at any place.
class ReadableFile {
 public:
  explicit ReadableFile(const std::string& path)
      : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat facts {};
    if (descriptor_.number() < 0 || ::fstat(descriptor_.number(), &facts) != 0) {
      fail(reason_of(errno));
    }
    if (!S_ISREG(facts.st_mode)) fail("it is no regular file");
    size_ = static_cast<std::uint64_t>(facts.st_size);
  }

  std::uint64_t size() const { return size_; }

  void read_at(std::uint64_t offset, std::span<std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t count =
          ::pread(descriptor_.number(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail(reason_of(errno));
      if (count == 0) fail(concat("it ends before byte ", offset + bytes.size()));
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
  }

 private:
  [[noreturn]] void fail(std::string_view reason) const {
    throw Error(concat("cannot read '", path_, "': ", reason));
  }

  std::string path_;
  Descriptor descriptor_;
  std::uint64_t size_ = 0;
};

class Folder : public FileSet {
 public:
  explicit Folder(const std::string& path) : FileSet(path) {
    namespace fs = std::filesystem;
    const std::size_t skip = (fs::path(path) / "").string().size();
    std::error_code code;
    fs::recursive_directory_iterator entry(path, fs::directory_options::follow_directory_symlink,
                                           code);
    for (const fs::recursive_directory_iterator end; !code && entry != end; entry.increment(code)) {
      const bool is_folder = entry->is_directory(code);
      if (entry->path().filename().string().starts_with('.')) {
        if (is_folder) entry.disable_recursion_pending();
        continue;
      }
      std::string name = entry->path().string().substr(skip);
      if (entry.depth() >= kMaximumDepth) {
        throw Error(concat("folder '", path, "' nests deeper than ", kMaximumDepth, " at '", name,
                           "'; does a link in it lead to itself?"));
      }
      if (is_folder) {
        folders_.push_back(std::move(name));
      } else {
        files_.push_back({.name = std::move(name)});
      }
    }
    if (code) throw Error(concat("cannot list folder '", path, "': ", code.message()));
    sort();
  }

  std::string describe(const StoredFile& file) const override {
    return (std::filesystem::path(path_) / file.name).string();
  }

  void read(const StoredFile& file, std::vector<std::byte>& bytes) const override {
    const std::string name = describe(file);
    const ReadableFile whole(name);
    check_size(whole.size(), name);
    bytes.resize(static_cast<std::size_t>(whole.size()));
    whole.read_at(0, bytes);
  }
};

class Archive : public FileSet {
 public:
  explicit Archive(const std::string& path) : FileSet(path), file_(path) {
    std::array<std::byte, 8> start{};
    const std::size_t known = std::min<std::uint64_t>(start.size(), file_.size());
    file_.read_at(0, std::span(start).first(known));
    std::uint64_t size = file_.size();
    if (is_compressed(std::span(start).first(known))) {
      unpacked_ = unpack(read_file(path, "archive"), path);
      size = unpacked_.size();
    }
    const ReadAt read = [this](std::uint64_t offset, std::span<std::byte> bytes) {
      read_at(offset, bytes);
    };
    for (TarMember& member : index_tar(size, read, path)) {
      if (member.is_folder) {
        folders_.push_back(std::move(member.name));
      } else {
        files_.push_back({std::move(member.name), member.offset, member.bytes});
      }
    }
    sort();
  }

  bool is_in_memory() const override { return !unpacked_.empty(); }

  std::string describe(const StoredFile& file) const override {
    return concat(path_, ": ", file.name);
  }

  void read(const StoredFile& file, std::vector<std::byte>& bytes) const override {
    check_size(file.bytes, describe(file));
    bytes.resize(static_cast<std::size_t>(file.bytes));
    read_at(file.offset, bytes);
  }

 private:
  void read_at(std::uint64_t offset, std::span<std::byte> bytes) const {
    if (unpacked_.empty()) {
      file_.read_at(offset, bytes);
    } else {
      std::ranges::copy(std::span(unpacked_).subspan(offset, bytes.size()), bytes.begin());
    }
  }

  ReadableFile file_;
  std::vector<std::byte> unpacked_;  // empty: the archive is read in place
};

}  // namespace

void FileSet::sort() {
  std::ranges::sort(files_, {}, &StoredFile::name);
  std::ranges::sort(folders_);
}

bool is_archive_name(std::string_view path) {
  return path.ends_with(".tar") || path.ends_with(".tar.xz") || path.ends_with(".tar.gz") ||
         path.ends_with(".tgz") || path.ends_with(".txz");
}

std::shared_ptr<const FileSet> open_file_set(const std::string& path) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) return std::make_shared<Folder>(path);
  return std::make_shared<Archive>(path);
}

}  // namespace sbp::experiments
