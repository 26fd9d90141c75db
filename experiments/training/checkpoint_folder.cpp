#include "experiments/training/checkpoint_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iomanip>
#include <sstream>
#include <utility>

#include "experiments/data/files.h"
#include "experiments/data/safetensors_writer.h"
#include "sbp/base/error.h"
#include "sbp/base/whole_file.h"

namespace sbp::experiments {
namespace {

constexpr const char* kFileName = "checkpoint.json";
constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kSuffix = ".safetensors";

std::string json_path(const std::string& folder) {
  return folder + "/" + kFileName;
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

// "step-", at least eight digits, ".safetensors"; nothing else here is ours to remove.
bool is_tensor_file(const std::string& name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return false;
  const std::string_view digits =
      std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  return digits.size() >= 8 &&
         std::ranges::all_of(digits, [](char letter) { return letter >= '0' && letter <= '9'; });
}

}  // namespace

CheckpointFolder::CheckpointFolder(std::string path, Start start, std::int64_t keep)
    : path_(std::move(path)), keep_(std::max<std::int64_t>(keep, 1)), folder_(-1) {
  while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
  make_folder(path_, "checkpoint folder");
  lock();
  remove_leftovers();
  if (!exists(json_path(path_))) return;
  if (start == Start::replace) {
    // Now, and not with the first checkpoint: until then --resume would go on with the old run.
    if (::unlink(json_path(path_).c_str()) == 0) return;
    throw Error(concat("cannot replace the checkpoint in '", path_, "': ", reason_of(errno)));
  }
  if (start == Start::fresh) {
    throw UsageError(concat("checkpoint folder '", path_,
                            "' holds the checkpoint of a run; --resume continues it, --force "
                            "starts over and replaces it"));
  }
  found_ = read_checkpoint(path_);
  for (const std::string& name : names_in(path_)) {
    // What is younger was written, but never committed.
    if (is_tensor_file(name) && name <= found_->tensors.name) ours_.push_back(name);
  }
}

void CheckpointFolder::lock() {
  folder_ = Descriptor(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder_.number() < 0) {
    throw Error(concat("cannot open checkpoint folder '", path_, "': ", reason_of(errno)));
  }
  if (::flock(folder_.number(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK) {
    throw Error(concat("checkpoint folder '", path_,
                       "' is in use by another run; wait for it, or "
                       "name another folder"));
  }
  // A file system without locks: two runs in one folder are then the user's to avoid.
}

// Of a run that was killed while it wrote. The lock says that nobody writes them now.
void CheckpointFolder::remove_leftovers() const {
  for (const std::string& name : names_in(path_)) {
    if (is_left_aside(name, kCheckpointPurpose)) ::unlink((path_ + "/" + name).c_str());
  }
}

std::string CheckpointFolder::tensor_name(std::int64_t step) const {
  std::ostringstream name;
  name << kPrefix << std::setw(8) << std::setfill('0') << step << kSuffix;
  return name.str();
}

std::string CheckpointFolder::tensor_path(std::int64_t step) const {
  return path_ + "/" + tensor_name(step);
}

void CheckpointFolder::commit(const reports::Checkpoint& checkpoint) {
  WholeFile file(json_path(path_), {.shown = "", .purpose = kCheckpointPurpose});
  file.write(reports::to_json(checkpoint));
  file.commit(WholeFile::Existing::replace);
  std::erase(ours_, checkpoint.tensors.name);
  ours_.push_back(checkpoint.tensors.name);
  remove_unneeded();
}

// Best effort: a file too many is no harm, and is found again at the next commit.
void CheckpointFolder::remove_unneeded() {
  const std::size_t keep = std::min(ours_.size(), static_cast<std::size_t>(keep_));
  ours_.erase(ours_.begin(), ours_.end() - static_cast<std::ptrdiff_t>(keep));
  for (const std::string& name : names_in(path_)) {
    if (is_tensor_file(name) && std::ranges::find(ours_, name) == ours_.end()) {
      ::unlink((path_ + "/" + name).c_str());
    }
  }
}

reports::Checkpoint read_checkpoint(const std::string& folder) {
  const std::string path = json_path(folder);
  const std::vector<std::byte> bytes = read_file(path, "checkpoint");
  return reports::parse_checkpoint({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                   path);
}

SafetensorsFile open_tensors(const std::string& folder, const reports::Checkpoint& checkpoint) {
  const std::string& name = checkpoint.tensors.name;
  if (!is_tensor_file(name)) {
    throw Error(concat("cannot read checkpoint '", json_path(folder), "': its tensor file '", name,
                       "' is not one of this folder"));
  }
  const std::string path = folder + "/" + name;
  SafetensorsFile file(path);
  const FileFacts facts = facts_of(file.bytes());
  if (facts.bytes != checkpoint.tensors.bytes ||
      checksum_text(facts.crc32) != checkpoint.tensors.checksum) {
    throw Error(concat("cannot read '", path, "': it has ", facts.bytes, " bytes of ",
                       checksum_text(facts.crc32), ", but its checkpoint was written with ",
                       checkpoint.tensors.bytes, " bytes of ", checkpoint.tensors.checksum));
  }
  return file;
}

}  // namespace sbp::experiments
