// Writing results so that they are there whole or not at all.
#pragma once

#include <string>
#include <string_view>

namespace sbp::cli {

// A file that a result will be written to after the work; "-" is standard output.
class OutputFile {
 public:
  enum class Content { text, binary };

  // Finds out now what could only fail later: throws UsageError when the folder does not exist or
  // the file exists and `force` is false, Error when nothing can be written there. Leaves nothing
  // behind. Files that are not regular (a pipe, a device) are written in place. Throws UsageError
  // for binary content on a terminal.
  OutputFile(std::string path, bool force, Content content = Content::text);

  // Writes aside in the same folder, flushes to the disk, renames. Throws Error; the file is then
  // as it was before and nothing is left beside it. A file that came to exist since the check is
  // replaced only with `force`.
  void write(std::string_view content) const;

 private:
  void write_aside(std::string_view content) const;

  std::string path_;    // as typed, for messages
  std::string target_;  // links followed
  bool force_;
  bool in_place_ = false;
  bool is_stdout_ = false;
};

// Throws Error when standard output does not take all of it (full disk, closed pipe).
void write_stdout(std::string_view content);

// The content of a file, "-" for standard input. Throws Error.
std::string read_file(const std::string& path);

}  // namespace sbp::cli
