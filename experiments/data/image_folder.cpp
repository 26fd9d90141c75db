#include "experiments/data/image_folder.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "experiments/data/file_set.h"
#include "experiments/data/jpeg_dataset.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

// Known to be pictures. What is not JPEG among them is an unreadable image, not something else.
constexpr std::array<std::string_view, 9> kPictures = {"jpg", "jpeg", "png",  "gif", "bmp",
                                                       "tif", "tiff", "webp", "ppm"};
constexpr std::size_t kNamedInWarning = 3;

bool is_picture(std::string_view name) {
  if (name.substr(name.rfind('/') + 1).starts_with('.')) return false;
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  std::string ending(name.substr(dot + 1));
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::find(kPictures, ending) != kPictures.end();
}

std::string_view first_part(std::string_view name) {
  return name.substr(0, name.find('/'));
}

// Class name to the files in it, for one of the two sets.
using Classes = std::map<std::string, std::vector<const StoredFile*>, std::less<>>;

struct Layout {
  Classes train;
  Classes test;  // empty: to be taken out of `train`
};

// Reads the layout off the names of files; holds what errors need to say.
class LayoutReader {
 public:
  explicit LayoutReader(const FileSet& set) : set_(set) {
    for (const StoredFile& file : set.files()) {
      if (is_picture(file.name)) pictures_.push_back(&file);
    }
    if (pictures_.empty()) fail("holds no images (.jpg, .jpeg)");
    find_root();
  }

  Layout read() const {
    Layout layout;
    if (splits_.contains("train")) {
      layout.train = classes_below(concat(root_, "train/"));
      if (!test_.empty()) layout.test = classes_below(concat(root_, test_, "/"));
    } else {
      layout.train = classes_below(root_);
    }
    if (layout.train.size() < 2) {
      fail(
          concat("has one class only, '", layout.train.begin()->first, "'; at least 2 are needed"));
    }
    for (const auto& [name, files] : layout.test) {
      if (!layout.train.contains(name)) {
        fail(concat("has the class '", name, "' in ", test_, "/ but not in train/"));
      }
    }
    return layout;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw Error(concat("image folder '", set_.path(), "' ", what));
  }

  // Goes down while there is one folder only and another level below it; then looks for splits.
  void find_root() {
    for (;;) {
      splits_.clear();
      bool has_deeper = true;
      for (const StoredFile* file : pictures_) {
        const std::string_view rest = std::string_view(file->name).substr(root_.size());
        splits_.emplace(first_part(rest));
        has_deeper = has_deeper && std::ranges::count(rest, '/') >= 2;
      }
      if (splits_.contains("train") || splits_.size() != 1 || !has_deeper) break;
      root_ += concat(*splits_.begin(), "/");
    }
    for (const char* name : {"test", "val"}) {
      if (splits_.contains(name)) test_ = name;
    }
  }

  Classes classes_below(const std::string& root) const {
    Classes classes;
    for (const std::string& folder : set_.folders()) {
      if (!folder.starts_with(root) || folder.size() == root.size()) continue;
      const std::string_view name = first_part(std::string_view(folder).substr(root.size()));
      if (!name.starts_with('.')) classes[std::string(name)];
    }
    for (const StoredFile* file : pictures_) {
      if (!file->name.starts_with(root)) continue;
      const std::string_view rest = std::string_view(file->name).substr(root.size());
      if (rest.find('/') == std::string_view::npos) {
        fail(concat("has the image '", file->name, "' outside of any class folder"));
      }
      classes[std::string(first_part(rest))].push_back(file);
    }
    for (const auto& [name, files] : classes) {
      if (files.empty()) fail(concat("has no images in the class folder '", root, name, "'"));
    }
    return classes;
  }

  const FileSet& set_;
  std::vector<const StoredFile*> pictures_;
  std::string root_;  // with a '/' at its end, or empty
  std::set<std::string, std::less<>> splits_;
  std::string test_;  // the name of the test set's folder, if there is one
};

std::shared_ptr<const FileSet> open_set(const std::string& path) {
  if (path.empty()) {
    throw UsageError("folder needs the folder or archive of images: folder:path=FOLDER_OR_TAR");
  }
  return open_file_set(path);
}

// Without a test set: the last fifth of each class.
void split_off_test(Layout& layout, const std::string& path) {
  for (auto& [name, files] : layout.train) {
    if (files.size() < 2) {
      throw Error(
          concat("image folder '", path, "' has a single image in the class '", name,
                 "'; without a test set at least 2 are needed, one to train and one to test"));
    }
    const auto test = static_cast<std::ptrdiff_t>(std::max<std::size_t>(files.size() / 5, 1));
    layout.test[name].assign(files.end() - test, files.end());
    files.erase(files.end() - test, files.end());
  }
}

std::vector<LabelledFile> label(const Classes& set, const Classes& all) {
  std::vector<LabelledFile> files;
  std::int64_t number = 0;
  for (const auto& [name, unused] : all) {
    if (const auto found = set.find(name); found != set.end()) {
      for (const StoredFile* file : found->second) files.push_back({file, number});
    }
    ++number;
  }
  return files;
}

std::string warning(const std::vector<std::string>& reasons, const std::string& path) {
  std::string text = concat("of '", path, "' ", reasons.size(), " unreadable image",
                            reasons.size() == 1 ? " was" : "s were", " skipped: ");
  for (std::size_t i = 0; i < std::min(reasons.size(), kNamedInWarning); ++i) {
    text += concat(i == 0 ? "" : "; ", reasons[i]);
  }
  if (reasons.size() > kNamedInWarning) {
    text += concat("; and ", reasons.size() - kNamedInWarning, " more");
  }
  return text;
}

}  // namespace

DataSource open_image_folder(const ImageFolderOptions& options) {
  const std::shared_ptr<const FileSet> set = open_set(options.path);
  Layout layout = LayoutReader(*set).read();
  const auto classes = static_cast<std::int64_t>(layout.train.size());
  if (options.classes != 0 && options.classes != classes) {
    throw UsageError(concat("image folder '", options.path, "' has ", classes, " classes, not '",
                            options.classes, "'"));
  }
  if (layout.test.empty()) split_off_test(layout, options.path);
  const ImageGeometry geometry{
      .channels = 3, .height = options.image, .width = options.image, .classes = classes};
  auto train = std::make_unique<JpegDataset>(set, label(layout.train, layout.train), geometry);
  auto test = std::make_unique<JpegDataset>(set, label(layout.test, layout.train), geometry);
  DataSource source;
  if (options.skip_unreadable) {
    std::vector<std::string> reasons = train->leave_out_unreadable();
    const std::vector<std::string> more = test->leave_out_unreadable();
    reasons.insert(reasons.end(), more.begin(), more.end());
    if (!reasons.empty()) source.warnings.push_back(warning(reasons, options.path));
    if (train->size() == 0 || test->size() == 0) {
      throw Error(concat("image folder '", options.path, "' has no readable image in its ",
                         train->size() == 0 ? "training" : "test", " set; the first: ",
                         train->size() == 0 ? reasons.front() : reasons.back()));
    }
  }
  source.train = std::move(train);
  source.test = std::move(test);
  // ImageNet's, over all training images; the figures in common use.
  source.mean = {0.485, 0.456, 0.406};
  source.standard_deviation = {0.229, 0.224, 0.225};
  source.crop_ratio = 224.0 / 256.0;
  return source;
}

std::int64_t count_image_classes(const std::string& path) {
  return static_cast<std::int64_t>(LayoutReader(*open_set(path)).read().train.size());
}

}  // namespace sbp::experiments
