#include "experiments/data/cifar100.h"

#include <algorithm>
#include <utility>

#include "experiments/data/cifar_records.h"
#include "experiments/data/file_set.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

std::unique_ptr<Dataset> open_split(const FileSet& set, const std::string& name,
                                    const CifarFormat& format) {
  const auto found = std::ranges::find_if(set.files(), [&](const StoredFile& file) {
    return file.name == name || file.name.ends_with("/" + name);
  });
  if (found == set.files().end()) {
    throw Error(concat("no CIFAR-100 in '", set.path(), "': there is no ", name,
                       "; it must hold train.bin and test.bin"));
  }
  CifarRecords records;
  set.read(*found, records);
  check_records(records, set.describe(*found), format);
  const std::size_t count = records.size() / format.record_bytes();
  return view_records(std::make_shared<const CifarRecords>(std::move(records)), 0, count, format);
}

}  // namespace

ImageGeometry cifar100_geometry(bool fine, std::int64_t image) {
  return {.channels = 3, .height = image, .width = image, .classes = fine ? 100 : 20};
}

DataSource open_cifar100(const std::string& path, bool fine, std::int64_t image) {
  if (path.empty()) {
    throw UsageError("cifar100 needs the folder or archive of its files: cifar100:path=FOLDER");
  }
  const CifarFormat format{.name = "CIFAR-100",
                           .label_bytes = 2,
                           .label_place = fine ? std::size_t{1} : std::size_t{0},
                           .geometry = cifar100_geometry(fine, image)};
  const std::shared_ptr<const FileSet> set = open_file_set(path);
  DataSource source;
  source.train = open_split(*set, "train.bin", format);
  source.test = open_split(*set, "test.bin", format);
  // Over all pixels of the 50,000 training images; the figures in common use.
  source.mean = {0.5071, 0.4865, 0.4409};
  source.standard_deviation = {0.2673, 0.2564, 0.2762};
  return source;
}

}  // namespace sbp::experiments
