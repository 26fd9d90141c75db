#include "experiments/data/jpeg_dataset.h"

#include <utility>

#include "experiments/data/jpeg.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

template <typename Action>
auto with_file(const FileSet& set, const StoredFile& file, Action action) {
  std::vector<std::byte> bytes;
  set.read(file, bytes);
  try {
    return action(bytes);
  } catch (const Error& error) {
    throw Error(concat("cannot decode image '", set.describe(file), "': ", error.what()));
  }
}

}  // namespace

ImageSize JpegDataset::dimensions(std::int64_t index) const {
  return with_file(*set_, *file(index).file, [](const auto& bytes) { return jpeg_size(bytes); });
}

void JpegDataset::read(std::int64_t index, const ImageSize& at_least, Image& image) const {
  with_file(*set_, *file(index).file,
            [&](const auto& bytes) { decode_jpeg(bytes, at_least, image); });
}

std::int64_t JpegDataset::held_bytes() const {
  if (!set_->is_in_memory()) return 0;
  // In an archive each has a header, and begins where one of these blocks does.
  constexpr std::uint64_t kBlock = 512;
  std::uint64_t bytes = 0;
  for (const LabelledFile& file : files_) {
    bytes += kBlock + (file.file->bytes + kBlock - 1) / kBlock * kBlock;
  }
  return static_cast<std::int64_t>(bytes);
}

std::vector<std::string> JpegDataset::leave_out_unreadable() {
  std::vector<std::string> reasons;
  std::vector<LabelledFile> readable;
  Image image;
  for (std::int64_t i = 0; i < size(); ++i) {
    try {
      read(i, {}, image);
      readable.push_back(file(i));
    } catch (const Error& error) {
      reasons.emplace_back(error.what());
    }
  }
  files_ = std::move(readable);
  return reasons;
}

}  // namespace sbp::experiments
