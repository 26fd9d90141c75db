#include "experiments/data/cifar_records.h"

#include <fmt/format.h>

#include <cstring>
#include <span>
#include <utility>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

class RecordView : public Dataset {
 public:
  RecordView(std::shared_ptr<const CifarRecords> records, std::size_t first, std::size_t count,
             CifarFormat format)
      : format_(std::move(format)), records_(std::move(records)), first_(first), count_(count) {}

  std::int64_t size() const override { return static_cast<std::int64_t>(count_); }
  const ImageGeometry& geometry() const override { return format_.geometry; }
  std::int64_t label(std::int64_t index) const override {
    return std::to_integer<std::int64_t>(record(index)[format_.label_place]);
  }
  ImageSize dimensions(std::int64_t) const override { return {kCifarImage, kCifarImage}; }
  void read(std::int64_t index, const ImageSize& /*at_least*/, Image& image) const override {
    image.reshape(3, dimensions(index));
    const auto pixels = record(index).subspan(format_.label_bytes);
    std::memcpy(image.bytes.data(), pixels.data(), pixels.size());
  }
  std::int64_t held_bytes() const override {
    return static_cast<std::int64_t>(count_ * format_.record_bytes());
  }

 private:
  std::span<const std::byte> record(std::int64_t index) const {
    const std::size_t place = first_ + static_cast<std::size_t>(index);
    const std::size_t bytes = format_.record_bytes();
    return std::span(*records_).subspan(place * bytes, bytes);
  }

  CifarFormat format_;
  std::shared_ptr<const CifarRecords> records_;
  std::size_t first_;
  std::size_t count_;
};

}  // namespace

void check_records(const CifarRecords& records, const std::string& path,
                   const CifarFormat& format) {
  const std::size_t bytes = format.record_bytes();
  const std::size_t count = records.size() / bytes;
  if (count == 0 || records.size() % bytes != 0) {
    throw Error(fmt::format(
        "{} batch '{}' has {} bytes, which is {} whole records of {} bytes and {} bytes of "
        "record {} (counted from 0); it must hold whole records, at least one",
        format.name, path, records.size(), count, bytes, records.size() % bytes, count));
  }
  const std::int64_t classes = format.geometry.classes;
  for (std::size_t i = 0; i < count; ++i) {
    const auto label = std::to_integer<int>(records[i * bytes + format.label_place]);
    if (label >= classes) {
      throw Error(fmt::format(
          "{} batch '{}' has label {} at record {} (counted from 0); labels are 0 to {}",
          format.name, path, label, i, classes - 1));
    }
  }
}

std::unique_ptr<Dataset> view_records(std::shared_ptr<const CifarRecords> records,
                                      std::size_t first, std::size_t count,
                                      const CifarFormat& format) {
  return std::make_unique<RecordView>(std::move(records), first, count, format);
}

}  // namespace sbp::experiments
