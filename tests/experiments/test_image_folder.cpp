#include <doctest/doctest.h>

#include <cstdlib>

#include "experiments/data/image_folder.h"
#include "experiments/data/loader.h"
#include "tests/experiments/sample_files.h"
#include "tests/experiments/scratch_folder.h"
#include "tests/skip.h"

namespace data = sbp::experiments;
using sbp::tests::contains;
using sbp::tests::error_text;
using sbp::tests::ScratchFolder;
using sbp::tests::tiny_jpeg;

namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

// The same files as a folder and as an archive; `check` is called with the path of each.
template <typename Check>
void both_ways(const Files& files, Check check) {
  const ScratchFolder folder;
  for (const auto& [name, bytes] : files) {
    std::filesystem::create_directories(
        std::filesystem::path(folder.path("f/" + name)).parent_path());
    folder.write("f/" + name, bytes);
  }
  check(folder.path("f"));
  check(folder.write("f.tar", sbp::tests::tar_of(files)));
}

std::string open_error(const std::string& path) {
  return error_text([&] { data::open_image_folder({.path = path, .image = 8}); });
}

int level(const data::Dataset& set, std::int64_t index) {
  data::Image image;
  set.read(index, {}, image);
  return image.bytes.at(0);
}

std::vector<std::int64_t> labels(const data::Dataset& set) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < set.size(); ++i) all.push_back(set.label(i));
  return all;
}

}  // namespace

TEST_CASE("image folder: train and val, classes by name, below lone folders") {
  for (const std::string root : {"", "set/", "a/b/"}) {
    for (const std::string test : {"val", "test"}) {
      const Files files = {{root + "train/n02/b.JPEG", tiny_jpeg(40)},
                           {root + "train/n02/a.jpg", tiny_jpeg(30)},
                           {root + "train/n01/deep/x.jpeg", tiny_jpeg(20)},
                           {root + "train/n03/z.jpg", tiny_jpeg(50)},
                           {root + test + "/n03/y.jpg", tiny_jpeg(60)},
                           {root + "labels.tsv", "n01\ttench"},
                           {root + "train/n01/notes.txt", "text"}};
      both_ways(files, [&](const std::string& path) {
        CAPTURE(path);
        const data::DataSource source = data::open_image_folder({.path = path, .image = 8});
        CHECK(source.train->geometry() == data::ImageGeometry{3, 8, 8, 3});
        CHECK(labels(*source.train) == std::vector<std::int64_t>{0, 1, 1, 2});
        CHECK(labels(*source.test) == std::vector<std::int64_t>{2});
        CHECK(std::abs(level(*source.train, 1) - 30) <= 2);
        CHECK(std::abs(level(*source.test, 0) - 60) <= 2);
        CHECK(source.train->dimensions(0) == data::ImageSize{8, 8});
        CHECK(source.crop_ratio == 0.875);
        CHECK(source.warnings.empty());
        CHECK(data::count_image_classes(path) == 3);
      });
    }
  }
}

TEST_CASE("image folder: without a split the last fifth of each class is held out") {
  Files files;
  for (int i = 0; i < 11; ++i) {
    files.emplace_back("cat/" + std::to_string(10 + i) + ".jpg",
                       tiny_jpeg(static_cast<std::uint8_t>(10 * i)));
  }
  files.emplace_back("dog/1.jpg", tiny_jpeg());
  files.emplace_back("dog/2.jpg", tiny_jpeg());
  both_ways(files, [](const std::string& path) {
    const data::DataSource source = data::open_image_folder({.path = path, .image = 8});
    CHECK(labels(*source.train) == std::vector<std::int64_t>{0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    CHECK(labels(*source.test) == std::vector<std::int64_t>{0, 0, 1});
    CHECK(std::abs(level(*source.test, 1) - 100) <= 2);
  });
  both_ways({{"cat/1.jpg", tiny_jpeg()}, {"cat/2.jpg", tiny_jpeg()}, {"dog/1.jpg", tiny_jpeg()}},
            [](const std::string& path) {
              CHECK(contains(open_error(path), "has a single image in the class 'dog'"));
            });
}

TEST_CASE("image folder: what is no set of classes is refused") {
  both_ways({{"a/x.txt", "text"}}, [](const std::string& path) {
    CHECK(open_error(path) == "image folder '" + path + "' holds no images (.jpg, .jpeg)");
  });
  both_ways({{"cat/1.jpg", tiny_jpeg()}, {"cat/2.jpg", tiny_jpeg()}}, [](const std::string& path) {
    CHECK(contains(open_error(path), "has one class only, 'cat'"));
  });
  both_ways({{"train/a/1.jpg", tiny_jpeg()}, {"train/2.jpg", tiny_jpeg()}},
            [](const std::string& path) {
              CHECK(contains(open_error(path), "has the image 'train/2.jpg' outside of any class"));
            });
  both_ways({{"train/a/1.jpg", tiny_jpeg()},
             {"train/b/1.jpg", tiny_jpeg()},
             {"val/c/1.jpg", tiny_jpeg()}},
            [](const std::string& path) {
              CHECK(contains(open_error(path), "has the class 'c' in val/ but not in train/"));
            });
  CHECK_THROWS_AS(data::open_image_folder({}), sbp::UsageError);
  CHECK_THROWS_AS(data::count_image_classes(""), sbp::UsageError);
}

TEST_CASE("image folder: an empty class folder is named") {
  const ScratchFolder folder;
  for (const char* name : {"a", "b", "empty"}) {
    std::filesystem::create_directories(folder.path(name));
  }
  for (const char* name : {"a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"}) {
    folder.write(name, tiny_jpeg());
  }
  CHECK(contains(open_error(folder.path()), "has no images in the class folder 'empty'"));
  folder.write("empty/readme.txt", "later");
  CHECK(contains(open_error(folder.path()), "has no images in the class folder 'empty'"));
  std::filesystem::remove_all(folder.path("empty"));
  CHECK(open_error(folder.path()).empty());
  const std::string archive =
      folder.write("x.tar", sbp::tests::tar_member("empty/", "", '5') +
                                sbp::tests::tar_of({{"a/1.jpg", ""}, {"b/1.jpg", ""}}));
  CHECK(contains(open_error(archive), "has no images in the class folder 'empty'"));
}

TEST_CASE("image folder: the number of classes can be asked for") {
  both_ways({{"train/a/1.jpg", tiny_jpeg()},
             {"train/b/1.jpg", tiny_jpeg()},
             {"val/b/1.jpg", tiny_jpeg()}},
            [](const std::string& path) {
              CHECK(error_text([&] { data::open_image_folder({.path = path, .classes = 1000}); }) ==
                    "image folder '" + path + "' has 2 classes, not '1000'");
              CHECK_NOTHROW(data::open_image_folder({.path = path, .classes = 2}));
            });
}

TEST_CASE("image folder: unreadable images are named; left out and counted only when asked") {
  const std::string whole = tiny_jpeg();
  const Files files = {{"train/a/1.jpg", whole},
                       {"train/a/2.jpg", whole.substr(0, whole.size() / 2)},
                       {"train/b/1.jpg", whole},
                       {"train/b/2.png", "\x89PNG\r\n"},
                       {"train/b/3.jpg", sbp::tests::with_size(whole, 65000, 65000)},
                       {"train/b/4.jpg", ""},
                       {"val/a/1.jpg", whole},
                       {"val/b/1.jpg", "text"}};
  both_ways(files, [](const std::string& path) {
    const data::DataSource strict = data::open_image_folder({.path = path, .image = 8});
    CHECK(strict.train->size() == 6);
    data::Image image;
    const std::string error = error_text([&] { strict.train->read(1, {}, image); });
    CHECK(contains(error, "cannot decode image '" + path));
    CHECK(contains(error, "train/a/2.jpg': "));
    // It comes out of the loader.
    data::Loader loader(*strict.train, strict, {.batch = 6, .workers = 2});
    loader.start_epoch(0);
    CHECK(contains(error_text([&] { loader.next(); }), "cannot decode image '"));

    const data::DataSource lenient =
        data::open_image_folder({.path = path, .image = 8, .skip_unreadable = true});
    CHECK(labels(*lenient.train) == std::vector<std::int64_t>{0, 1});
    CHECK(labels(*lenient.test) == std::vector<std::int64_t>{0});
    REQUIRE(lenient.warnings.size() == 1);
    CHECK(contains(lenient.warnings[0], "of '" + path + "' 5 unreadable images were skipped: "));
    CHECK(contains(lenient.warnings[0], "train/a/2.jpg"));
    CHECK(contains(lenient.warnings[0], "train/b/2.png"));
    CHECK(contains(lenient.warnings[0], "; and 2 more"));
  });
  both_ways({{"a/1.jpg", "x"}, {"a/2.jpg", "x"}, {"b/1.jpg", "x"}, {"b/2.jpg", "x"}},
            [](const std::string& path) {
              const auto open = [&] {
                data::open_image_folder({.path = path, .image = 8, .skip_unreadable = true});
              };
              CHECK(contains(error_text(open), "has no readable image in its training set"));
            });
}

TEST_CASE("image folder: the Imagenette subset in its archive") {
  const char* folder = std::getenv("SBP_DATA_DIR");
  if (folder == nullptr) SBP_SKIP("SBP_DATA_DIR does not name a folder with the Imagenette subset");
  const std::string path = (std::filesystem::path(folder) / "imagenette224-subset.tar").string();
  const data::DataSource source = data::open_image_folder({.path = path, .image = 224});
  CHECK(source.train->size() == 2000);
  CHECK(source.test->size() == 800);
  CHECK(source.train->geometry().classes == 10);
  std::vector<int> counts(10);
  for (const std::int64_t label : labels(*source.test))
    ++counts.at(static_cast<std::size_t>(label));
  for (const int count : counts) CHECK(count > 0);
  for (std::int64_t i = 0; i < 2000; i += 100) {
    CHECK(source.train->dimensions(i) == data::ImageSize{224, 224});
    CHECK_NOTHROW(level(*source.train, i));
  }
}
