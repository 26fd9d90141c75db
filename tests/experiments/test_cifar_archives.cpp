#include <doctest/doctest.h>

#include <array>
#include <cstdlib>

#include "experiments/data/cifar10.h"
#include "experiments/data/cifar100.h"
#include "tests/experiments/sample_files.h"
#include "tests/experiments/scratch_folder.h"
#include "tests/experiments/sha256.h"
#include "tests/skip.h"

namespace data = sbp::experiments;
using sbp::tests::contains;
using sbp::tests::encode_jpeg;
using sbp::tests::error_text;
using sbp::tests::flat_image;
using sbp::tests::ScratchFolder;
using sbp::tests::tar_of;

namespace {

std::string records(std::size_t labels, int count, int first) {
  std::string bytes;
  for (int i = first; i < first + count; ++i) {
    for (std::size_t k = 0; k < labels; ++k) bytes += static_cast<char>(k == 0 ? i % 10 : i % 100);
    bytes += std::string(3072, static_cast<char>(i));
  }
  return bytes;
}

data::Image read(const data::Dataset& set, std::int64_t index) {
  data::Image image;
  set.read(index, {}, image);
  return image;
}

std::string image_file(std::uint8_t level) {
  return encode_jpeg(flat_image({32, 32}, {level, level, level}));
}

}  // namespace

TEST_CASE("cifar10: batches in an archive, in the order of their numbers") {
  const ScratchFolder folder;
  const std::string archive = tar_of({{"c/data_batch_10.bin", records(1, 2, 30)},
                                      {"c/data_batch_2.bin", records(1, 3, 7)},
                                      {"c/test_batch.bin", records(1, 1, 50)},
                                      {"c/readme.html", "text"}});
  for (const std::string& path : {folder.write("c.tar", archive),
                                  folder.write("c.tar.gz", sbp::tests::compress_gzip(archive))}) {
    const data::DataSource source = data::open_cifar10(path);
    CHECK(source.train->size() == 5);
    CHECK(source.test->size() == 1);
    CHECK(read(*source.train, 0).bytes[0] == 7);
    CHECK(read(*source.train, 3).bytes[0] == 30);
    CHECK(source.train->label(2) == 9);
    CHECK(read(*source.test, 0).bytes[5] == 50);
  }
  const std::string broken = folder.write("b.tar", tar_of({{"data_batch_1.bin", "short"}}));
  CHECK(contains(error_text([&] { data::open_cifar10(broken); }),
                 "b.tar: data_batch_1.bin' has 5 bytes"));
}

TEST_CASE("cifar10: JPEG files in an archive, labels in their names") {
  const ScratchFolder folder;
  const std::string path = folder.write(
      "j.tar.xz", sbp::tests::compress_xz(tar_of({{"cifar10/train/00001_3.jpg", image_file(20)},
                                                  {"cifar10/train/00000_7.jpg", image_file(10)},
                                                  {"cifar10/train/notes.jpg", "text"},
                                                  {"cifar10/test/00000_9.jpg", image_file(30)}})));
  const data::DataSource source = data::open_cifar10(path, 64);
  CHECK(source.train->geometry() == data::ImageGeometry{3, 64, 64, 10});
  REQUIRE(source.train->size() == 2);
  CHECK(source.train->label(0) == 7);
  CHECK(source.train->label(1) == 3);
  CHECK(std::abs(read(*source.train, 1).bytes[0] - 20) <= 2);
  CHECK(source.train->dimensions(0) == data::ImageSize{32, 32});
  CHECK(source.test->label(0) == 9);
  const std::string none = folder.write("n.tar", tar_of({{"train/0_1.jpg", "x"}}));
  CHECK(contains(error_text([&] { data::open_cifar10(none); }), "there is nothing for test/"));
}

TEST_CASE("cifar100: fine and coarse labels, a folder or an archive") {
  const ScratchFolder folder;
  const std::string train = records(2, 30, 5), test = records(2, 2, 95);
  std::filesystem::create_directories(folder.path("d"));
  folder.write("d/train.bin", train);
  folder.write("d/test.bin", test);
  for (const std::string& path :
       {folder.path("d"),
        folder.write("c.tar", tar_of({{"c/train.bin", train}, {"c/test.bin", test}}))}) {
    const data::DataSource fine = data::open_cifar100(path, true);
    CHECK(fine.train->geometry() == data::ImageGeometry{3, 32, 32, 100});
    CHECK(fine.train->size() == 30);
    CHECK(fine.train->label(20) == 25);
    CHECK(read(*fine.train, 20).bytes.front() == 25);
    CHECK(read(*fine.train, 20).bytes.back() == 25);
    CHECK(fine.test->label(1) == 96);
    const data::DataSource coarse = data::open_cifar100(path, false);
    CHECK(coarse.train->geometry().classes == 20);
    CHECK(coarse.train->label(20) == 5);
  }
  folder.write("d/test.bin", test + "x");
  CHECK(contains(error_text([&] { data::open_cifar100(folder.path("d"), true); }),
                 "CIFAR-100 batch '" + folder.path("d/test.bin") + "' has 6149 bytes"));
  std::string wrong = test;
  wrong[1] = 100;
  folder.write("d/test.bin", wrong);
  CHECK(contains(error_text([&] { data::open_cifar100(folder.path("d"), true); }),
                 "has label 100 at record 0"));
  std::filesystem::remove(folder.path("d/test.bin"));
  CHECK(contains(error_text([&] { data::open_cifar100(folder.path("d"), true); }),
                 "there is no test.bin"));
  CHECK_THROWS_AS(data::open_cifar100("", true), sbp::UsageError);
}

// The batches that two independent decoders made of the same files.
TEST_CASE("cifar10: a real archive of JPEG files decodes to the known bytes") {
  const char* folder = std::getenv("SBP_DATA_DIR");
  if (folder == nullptr) SBP_SKIP("SBP_DATA_DIR does not name a folder with CIFAR-10 as JPEG");
  constexpr std::array kSums = {"8da035fc1631e8ce5f25904206b8993b0f3ad02a504c0584d662e806fd76c12b",
                                "106eeaad9f1fa7a999292fdafe68ee909080f58aee038a76994035aedf40ba26",
                                "99cb88ba00fca88bf28c517a74307b6b78a346c6ea747a561cb8e660c787d5cb",
                                "76b482bc3bb79c0370e48ea71bb6e4f567a3770d224dc09a9ddc8cfa2369f294",
                                "490f5ead4f04a3eb71d5898eb551e0d8d2c592feb778fb9b109a006b3f231495",
                                "0ce179d0c0a5220739d6223197952896644ceabb648dacfdebd7f06789af543f"};
  const data::DataSource source =
      data::open_cifar10((std::filesystem::path(folder) / "cifar10-jpeg.tar.xz").string());
  REQUIRE(source.train->size() == 50000);
  REQUIRE(source.test->size() == 10000);
  data::Image image;
  for (std::size_t batch = 0; batch < kSums.size(); ++batch) {
    const bool is_test = batch == 5;
    const data::Dataset& set = is_test ? *source.test : *source.train;
    sbp::tests::Sha256 sum;
    for (std::int64_t i = 0; i < 10000; ++i) {
      const std::int64_t index = is_test ? i : static_cast<std::int64_t>(batch) * 10000 + i;
      const auto label = static_cast<std::uint8_t>(set.label(index));
      set.read(index, {32, 32}, image);
      sum.add({&label, 1});
      sum.add(image.bytes);
    }
    CHECK(sum.finish() == kSums.at(batch));
  }
}
