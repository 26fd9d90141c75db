// The files below a folder, or in an archive that is read without unpacking it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sbp::experiments {

// One file that is larger is refused: images and batches are far smaller.
inline constexpr std::uint64_t kMaximumFileBytes = std::uint64_t{1} << 30;

struct StoredFile {
  std::string name;          // below the root, folders joined by '/'
  std::uint64_t offset = 0;  // in an archive
  std::uint64_t bytes = 0;   // in an archive
};

// Reading is safe from several threads.
class FileSet {
 public:
  virtual ~FileSet() = default;

  // Both sorted by name.
  const std::vector<StoredFile>& files() const { return files_; }
  const std::vector<std::string>& folders() const { return folders_; }
  const std::string& path() const { return path_; }

  // Whether the contents are in memory (a compressed archive's are).
  virtual bool is_in_memory() const { return false; }
  // How errors name a file: "FOLDER/NAME" or "ARCHIVE: NAME".
  virtual std::string describe(const StoredFile& file) const = 0;
  // Replaces `bytes` by the file's contents. Throws Error naming it.
  virtual void read(const StoredFile& file, std::vector<std::byte>& bytes) const = 0;

 protected:
  explicit FileSet(std::string path) : path_(std::move(path)) {}
  void sort();

  std::string path_;
  std::vector<StoredFile> files_;
  std::vector<std::string> folders_;
};

// Does the name end as that of a .tar archive does, plain or compressed by xz or gzip?
bool is_archive_name(std::string_view path);

// A folder (links are followed; hidden files and folders are left out), or a .tar file, also
// compressed by xz or gzip (which is then unpacked into memory, once). Throws Error naming `path`
// and what is wrong with it.
std::shared_ptr<const FileSet> open_file_set(const std::string& path);

}  // namespace sbp::experiments
