// Image folders: one folder a class, JPEG files in it; a folder on disk or a tar archive.
#pragma once

#include <cstdint>
#include <string>

#include "experiments/data/dataset.h"

namespace sbp::experiments {

struct ImageFolderOptions {
  std::string path;
  std::int64_t image = 224;      // height and width of what batches hold
  std::int64_t classes = 0;      // how many class folders there must be; 0: any number from 2
  bool skip_unreadable = false;  // decode everything once, leave out and name what cannot be
};

// Classes are the names of the folders, sorted. train/ and val/ (or test/) are the two sets, as
// deep as lone folders lead. Without such a pair the last fifth of each class by name (rounded
// down, at least one image) is the test set. Throws Error naming the folder or file: no images, one
// class only, an empty class folder, an image outside class folders, a test class that is not
// among the training classes, a class with a single image to split.
DataSource open_image_folder(const ImageFolderOptions& options);

// The number of classes, without decoding anything.
std::int64_t count_image_classes(const std::string& path);

}  // namespace sbp::experiments
