#include "experiments/data/cifar10.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <tuple>
#include <utility>

#include "experiments/data/cifar_records.h"
#include "experiments/data/file_set.h"
#include "experiments/data/files.h"
#include "experiments/data/jpeg_dataset.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

using Shared = std::shared_ptr<const CifarRecords>;

CifarFormat format_of(std::int64_t image) {
  return {.name = "CIFAR-10", .geometry = cifar10_geometry(image)};
}

void append(CifarRecords& all, CifarRecords batch, const std::string& name,
            const CifarFormat& format) {
  check_records(batch, name, format);
  if (all.empty()) {
    all = std::move(batch);
  } else {
    all.insert(all.end(), batch.begin(), batch.end());
  }
}

Shared read_batches(const std::vector<std::string>& paths, const CifarFormat& format) {
  CifarRecords all;
  for (const std::string& path : paths) {
    append(all, read_file(path, "CIFAR-10 batch"), path, format);
  }
  return std::make_shared<const CifarRecords>(std::move(all));
}

// Without a test batch the last fifth is kept from training.
void split(const Shared& records, const Shared& test, const std::string& path,
           const CifarFormat& format, DataSource& source) {
  const std::size_t count = records->size() / format.record_bytes();
  if (test) {
    source.train = view_records(records, 0, count, format);
    source.test = view_records(test, 0, test->size() / format.record_bytes(), format);
    return;
  }
  if (count < 2) {
    throw Error(
        fmt::format("CIFAR-10 data '{}' hold a single record; without a test batch at "
                    "least 2 are needed, one to train and one to test",
                    path));
  }
  const std::size_t held_out = std::max<std::size_t>(count / 5, 1);
  source.train = view_records(records, 0, count - held_out, format);
  source.test = view_records(records, count - held_out, held_out, format);
}

std::string last_part(const std::string& name) {
  return name.substr(name.rfind('/') + 1);
}

bool is_training_batch(const std::string& name) {
  return name.starts_with("data_batch_") && name.ends_with(".bin");
}

// data_batch_2 before data_batch_10.
std::tuple<std::size_t, std::string> batch_order(const std::string& name) {
  return {name.size(), name};
}

// The training batches of a folder.
std::vector<std::string> find_batches(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code code;
  const std::filesystem::directory_iterator entries(folder, code);
  if (code) throw Error(fmt::format("cannot list folder '{}': {}", folder, code.message()));
  for (const auto& entry : entries) {
    if (is_training_batch(entry.path().filename().string())) paths.push_back(entry.path().string());
  }
  if (paths.empty()) {
    throw Error(fmt::format(
        "no CIFAR-10 batches in folder '{}'; it must hold data_batch_1.bin and so on", folder));
  }
  std::ranges::sort(paths, {}, batch_order);
  return paths;
}

void open_folder(const std::string& path, const CifarFormat& format, DataSource& source) {
  const Shared records = read_batches(find_batches(path), format);
  const std::string test_path = (std::filesystem::path(path) / "test_batch.bin").string();
  std::error_code code;
  Shared test;
  if (std::filesystem::exists(test_path, code)) test = read_batches({test_path}, format);
  split(records, test, path, format, source);
}

// The label in "train/00000_6.jpg"; nothing for other names.
std::optional<std::int64_t> jpeg_label(const std::string& name) {
  constexpr std::string_view kEnding = "_0.jpg";
  const std::string file = last_part(name);
  if (!file.ends_with(".jpg") || file.size() <= kEnding.size()) return std::nullopt;
  const std::string_view ending = std::string_view(file).substr(file.size() - kEnding.size());
  if (ending[0] != '_' || ending[1] < '0' || ending[1] > '9') return std::nullopt;
  return ending[1] - '0';
}

bool lies_in(const std::string& name, std::string_view folder) {
  return name.starts_with(concat(folder, "/")) ||
         name.find(concat("/", folder, "/")) != std::string::npos;
}

std::unique_ptr<Dataset> jpegs(const std::shared_ptr<const FileSet>& set, std::string_view folder,
                               const CifarFormat& format) {
  std::vector<LabelledFile> files;
  for (const StoredFile& file : set->files()) {
    const std::optional<std::int64_t> label = jpeg_label(file.name);
    if (label && lies_in(file.name, folder)) files.push_back({&file, *label});
  }
  if (files.empty()) {
    throw Error(
        fmt::format("no CIFAR-10 in archive '{}'; it must hold data_batch_1.bin and so on, or "
                    "train/NNNNN_LABEL.jpg and test/NNNNN_LABEL.jpg; there is nothing for {}/",
                    set->path(), folder));
  }
  return std::make_unique<JpegDataset>(set, std::move(files), format.geometry);
}

void open_archive(const std::string& path, const CifarFormat& format, DataSource& source) {
  const std::shared_ptr<const FileSet> set = open_file_set(path);
  std::vector<const StoredFile*> batches;
  Shared test;
  const auto read = [&](const StoredFile& file, CifarRecords& all) {
    std::vector<std::byte> bytes;
    set->read(file, bytes);
    append(all, std::move(bytes), set->describe(file), format);
  };
  for (const StoredFile& file : set->files()) {
    const std::string name = last_part(file.name);
    if (is_training_batch(name)) batches.push_back(&file);
    if (name != "test_batch.bin") continue;
    CifarRecords records;
    read(file, records);
    test = std::make_shared<const CifarRecords>(std::move(records));
  }
  if (batches.empty()) {
    source.train = jpegs(set, "train", format);
    source.test = jpegs(set, "test", format);
    return;
  }
  std::ranges::sort(batches, {}, [](const StoredFile* file) { return batch_order(file->name); });
  CifarRecords all;
  for (const StoredFile* batch : batches) read(*batch, all);
  split(std::make_shared<const CifarRecords>(std::move(all)), test, path, format, source);
}

}  // namespace

ImageGeometry cifar10_geometry(std::int64_t image) {
  return {.channels = 3, .height = image, .width = image, .classes = 10};
}

DataSource open_cifar10(const std::string& path, std::int64_t image) {
  if (path.empty()) {
    throw UsageError(
        "cifar10 needs the batch file, the folder of batches or an archive: "
        "cifar10:path=FILE_OR_FOLDER");
  }
  const CifarFormat format = format_of(image);
  DataSource source;
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) {
    open_folder(path, format, source);
  } else if (is_archive_name(path)) {
    open_archive(path, format, source);
  } else {
    split(read_batches({path}, format), nullptr, path, format, source);
  }
  // Over all pixels of the 50,000 training images; the figures in common use.
  source.mean = {0.4914, 0.4822, 0.4465};
  source.standard_deviation = {0.2470, 0.2435, 0.2616};
  return source;
}

}  // namespace sbp::experiments
