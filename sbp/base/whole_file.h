// A file that is there whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "sbp/base/descriptor.h"

namespace sbp {

// Written aside in the folder of its target, flushed to the disk, renamed. Whatever fails before
// the renaming leaves the target as it was, and nothing beside it; only a process that is killed
// leaves the file aside, whose name is_left_aside() knows.
class WholeFile {
 public:
  struct Options {
    std::string shown;               // what errors call the target; empty: the target itself
    std::string purpose = "output";  // in the name of the file aside
  };
  enum class Existing { replace, refuse };

  // Throws Error when nothing can be written there.
  explicit WholeFile(std::string target) : WholeFile(std::move(target), Options()) {}
  WholeFile(std::string target, const Options& options);
  ~WholeFile();
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;

  // Throws Error: disk full, file too large.
  void write(std::string_view bytes);
  // Once. False when the target exists and is not to be replaced: the content then stays in
  // `aside()`. Some file systems cannot refuse, and replace. Throws Error.
  bool commit(Existing existing);

  const std::string& aside() const { return aside_; }

 private:
  [[noreturn]] void fail(int error_number) const;

  std::string target_;
  std::string shown_;
  std::string folder_;
  std::string aside_;
  Descriptor file_;
  bool keeps_aside_ = false;
};

// Renames a file that is on the disk; the new name is on the disk when this returns. Replaces
// `target`. Throws Error.
void move_whole(const std::string& file, const std::string& target);

// Whether `file_name`, without a folder, is of a file aside for `purpose`.
bool is_left_aside(std::string_view file_name, std::string_view purpose);

// "." where `path` has no folder.
std::string folder_of(const std::string& path);

// Makes the folder `path` if it is absent; its parent must be there. `what` names it in errors
// ("checkpoint folder"). Throws UsageError where it is a file or has no parent, Error otherwise.
void make_folder(const std::string& path, std::string_view what);

// What the system says of an error number.
std::string reason_of(int error_number);

}  // namespace sbp
