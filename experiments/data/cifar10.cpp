#include "experiments/data/cifar10.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <tuple>
#include <utility>

#include "experiments/data/files.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr std::size_t kImageBytes = 3 * 32 * 32;
constexpr std::size_t kRecordBytes = 1 + kImageBytes;

using Records = std::vector<std::byte>;

// The records [first, first + count), as they lie in the files.
class Cifar10 : public Dataset {
 public:
  Cifar10(std::shared_ptr<const Records> records, std::size_t first, std::size_t count)
      : geometry_(cifar10_geometry()), records_(std::move(records)), first_(first), count_(count) {}

  std::int64_t size() const override { return static_cast<std::int64_t>(count_); }
  const ImageGeometry& geometry() const override { return geometry_; }
  std::int64_t label(std::int64_t index) const override {
    return std::to_integer<std::int64_t>(record(index).front());
  }
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override {
    const auto image = record(index).subspan(1);
    std::memcpy(pixels.data(), image.data(), image.size());
  }

 private:
  std::span<const std::byte> record(std::int64_t index) const {
    const std::size_t place = first_ + static_cast<std::size_t>(index);
    return std::span(*records_).subspan(place * kRecordBytes, kRecordBytes);
  }

  ImageGeometry geometry_;
  std::shared_ptr<const Records> records_;
  std::size_t first_;
  std::size_t count_;
};

Records read_batch(const std::string& path) {
  Records records = read_file(path, "CIFAR-10 batch");
  const std::size_t count = records.size() / kRecordBytes;
  if (count == 0 || records.size() % kRecordBytes != 0) {
    throw Error(fmt::format(
        "CIFAR-10 batch '{}' has {} bytes, which is {} whole records of {} bytes and {} bytes of "
        "record {} (counted from 0); it must hold whole records, at least one",
        path, records.size(), count, kRecordBytes, records.size() % kRecordBytes, count));
  }
  const std::int64_t classes = cifar10_geometry().classes;
  for (std::size_t i = 0; i < count; ++i) {
    const auto label = std::to_integer<int>(records[i * kRecordBytes]);
    if (label >= classes) {
      throw Error(fmt::format(
          "CIFAR-10 batch '{}' has label {} at record {} (counted from 0); labels are 0 to {}",
          path, label, i, classes - 1));
    }
  }
  return records;
}

std::shared_ptr<const Records> read_batches(const std::vector<std::string>& paths) {
  Records all;
  for (const std::string& path : paths) {
    Records batch = read_batch(path);
    if (all.empty()) {
      all = std::move(batch);
    } else {
      all.insert(all.end(), batch.begin(), batch.end());
    }
  }
  return std::make_shared<const Records>(std::move(all));
}

std::unique_ptr<Dataset> view(const std::shared_ptr<const Records>& records, std::size_t first,
                              std::size_t count) {
  return std::make_unique<Cifar10>(records, first, count);
}

// Without a test batch: the last fifth is kept from training.
void split_off_test(const std::shared_ptr<const Records>& records, const std::string& path,
                    DataSource& source) {
  const std::size_t count = records->size() / kRecordBytes;
  if (count < 2) {
    throw Error(
        fmt::format("CIFAR-10 data '{}' hold a single record; without a test batch at "
                    "least 2 are needed, one to train and one to test",
                    path));
  }
  const std::size_t test = std::max<std::size_t>(count / 5, 1);
  source.train = view(records, 0, count - test);
  source.test = view(records, count - test, test);
}

// The training batches of a folder, data_batch_2 before data_batch_10.
std::vector<std::string> find_batches(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code code;
  const std::filesystem::directory_iterator entries(folder, code);
  if (code) throw Error(fmt::format("cannot list folder '{}': {}", folder, code.message()));
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("data_batch_") && name.ends_with(".bin")) {
      paths.push_back(entry.path().string());
    }
  }
  if (paths.empty()) {
    throw Error(fmt::format(
        "no CIFAR-10 batches in folder '{}'; it must hold data_batch_1.bin and so on", folder));
  }
  std::ranges::sort(paths, {},
                    [](const std::string& path) { return std::tuple(path.size(), path); });
  return paths;
}

}  // namespace

ImageGeometry cifar10_geometry() {
  return {.channels = 3, .height = 32, .width = 32, .classes = 10};
}

DataSource open_cifar10(const std::string& path) {
  if (path.empty()) {
    throw UsageError(
        "cifar10 needs the batch file or the folder of batches: cifar10:path=FILE_OR_FOLDER");
  }
  DataSource source;
  std::error_code code;
  if (!std::filesystem::is_directory(path, code)) {
    split_off_test(read_batches({path}), path, source);
  } else {
    const auto records = read_batches(find_batches(path));
    const std::string test_path = (std::filesystem::path(path) / "test_batch.bin").string();
    if (std::filesystem::exists(test_path, code)) {
      const auto test_records = read_batches({test_path});
      source.train = view(records, 0, records->size() / kRecordBytes);
      source.test = view(test_records, 0, test_records->size() / kRecordBytes);
    } else {
      split_off_test(records, path, source);
    }
  }
  // Over all pixels of the 50,000 training images; the figures in common use.
  source.mean = {0.4914, 0.4822, 0.4465};
  source.standard_deviation = {0.2470, 0.2435, 0.2616};
  return source;
}

}  // namespace sbp::experiments
