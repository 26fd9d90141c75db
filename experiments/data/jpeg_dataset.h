// JPEG files of a file set as a data set: each is read and decoded when it is asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "experiments/data/dataset.h"
#include "experiments/data/file_set.h"

namespace sbp::experiments {

struct LabelledFile {
  const StoredFile* file = nullptr;  // of the set
  std::int64_t label = 0;
};

// Colour images of any size. read() and dimensions() throw Error naming the file.
class JpegDataset : public Dataset {
 public:
  JpegDataset(std::shared_ptr<const FileSet> set, std::vector<LabelledFile> files,
              const ImageGeometry& geometry)
      : set_(std::move(set)), files_(std::move(files)), geometry_(geometry) {}

  std::int64_t size() const override { return static_cast<std::int64_t>(files_.size()); }
  const ImageGeometry& geometry() const override { return geometry_; }
  std::int64_t label(std::int64_t index) const override { return file(index).label; }
  ImageSize dimensions(std::int64_t index) const override;
  void read(std::int64_t index, const ImageSize& at_least, Image& image) const override;

  std::int64_t held_bytes() const override;

  // Decodes every file, leaves out those that cannot be, and says of each why.
  std::vector<std::string> leave_out_unreadable();

 private:
  const LabelledFile& file(std::int64_t index) const {
    return files_.at(static_cast<std::size_t>(index));
  }

  std::shared_ptr<const FileSet> set_;
  std::vector<LabelledFile> files_;
  ImageGeometry geometry_;
};

}  // namespace sbp::experiments
