#include <doctest/doctest.h>

#include <stdexcept>

#include "experiments/data/dataset.h"
#include "tests/experiments/scratch_folder.h"

namespace data = sbp::experiments;
using data::ImageGeometry;
using sbp::tests::contains;
using sbp::tests::error_text;

namespace {

sbp::Spec parse(std::string_view text) {
  return sbp::parse_spec(text, "data", data::data_schemas());
}

constexpr ImageGeometry kModel{3, 224, 192, 1000};

}  // namespace

TEST_CASE("data: the names that scripts rely on, each with defaults that parse") {
  std::vector<std::string> names;
  for (const sbp::SpecSchema& schema : data::data_schemas()) {
    names.push_back(schema.name);
    const sbp::Spec spec = parse(schema.name);
    CHECK(parse(sbp::to_string(spec)) == spec);
    CHECK(!schema.summary.empty());
    for (const sbp::KeySchema& key : schema.keys) CHECK(!key.help.empty());
  }
  CHECK(names ==
        std::vector<std::string>{"synthetic", "fashion_mnist", "cifar10", "cifar100", "folder"});
  CHECK(sbp::to_string(parse("synthetic")) == "synthetic:image=0,channels=0,classes=0,samples=512");
  CHECK(sbp::to_string(parse("fashion_mnist")) ==
        "fashion_mnist:path=/usr/share/datasets/fashion-mnist");
  CHECK(sbp::to_string(parse("cifar10")) == "cifar10:image=32");
}

TEST_CASE("data: geometry without reading anything") {
  CHECK(data::geometry_of(parse("fashion_mnist:path=/nowhere"), kModel) ==
        ImageGeometry{1, 28, 28, 10});
  CHECK(data::geometry_of(parse("cifar10:path=/nowhere"), kModel) == ImageGeometry{3, 32, 32, 10});
  CHECK(data::geometry_of(parse("synthetic"), kModel) == kModel);
  CHECK(data::geometry_of(parse("synthetic:image=64"), kModel) == ImageGeometry{3, 64, 64, 1000});
  CHECK(data::geometry_of(parse("synthetic:channels=1,classes=7"), kModel) ==
        ImageGeometry{1, 224, 192, 7});
  CHECK(data::geometry_of(parse("synthetic"), {0, 0, 0, 0}) == ImageGeometry{3, 32, 32, 10});
  CHECK_THROWS_AS(data::geometry_of({"unknown", {}}, kModel), std::invalid_argument);
}

TEST_CASE("data: sizes left to the model are filled in, given ones stay") {
  CHECK(sbp::to_string(data::fit_to_geometry(parse("synthetic:image=64"), {3, 64, 64, 10})) ==
        "synthetic:image=64,channels=3,classes=10,samples=512");
  CHECK(data::fit_to_geometry(parse("fashion_mnist"), {1, 28, 28, 10}) == parse("fashion_mnist"));
}

TEST_CASE("data: open_data opens what the spec names") {
  const data::DataSource source = data::open_data(parse("synthetic:samples=40"), kModel, 1);
  CHECK(source.train->size() == 40);
  CHECK(source.test->size() == 10);
  CHECK(source.train->geometry() == kModel);
  const auto open = [](std::string_view text) {
    return error_text([&] { data::open_data(parse(text), kModel, 1); });
  };
  CHECK(contains(open("cifar10"), "cifar10:path="));
  CHECK(contains(open("cifar10:path=/nowhere"), "'/nowhere': No such file or directory"));
  CHECK(contains(open("fashion_mnist:path=/nowhere"), "/nowhere/train-images-idx3-ubyte.gz"));
}
