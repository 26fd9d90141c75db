#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "experiments/data/safetensors.h"
#include "sbp/random.h"
#include "tests/experiments/scratch_folder.h"
#include "tests/skip.h"

namespace data = sbp::experiments;
using data::SafetensorsFile;
using sbp::tests::contains;
using sbp::tests::error_text;
using sbp::tests::ScratchFolder;

namespace {

std::string little_endian(std::uint64_t number) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(number >> shift);
  return bytes;
}

std::string file_of(const std::string& header, const std::string& payload) {
  return little_endian(header.size()) + header + payload;
}

// Tensor `a` (two floats), `b` (three bytes), an empty one, and a scalar.
const std::string kGood =
    file_of(R"({"__metadata__":{"format":"pt"},)"
            R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},)"
            R"("a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
            R"("empty":{"dtype":"I64","shape":[0,7],"data_offsets":[11,11]},)"
            R"("scalar":{"dtype":"F64","shape":[],"data_offsets":[11,19]}}   )",
            std::string("\0\0\x80\x3f\0\0\0\xc0"
                        "\x01\x02\x03"
                        "\0\0\0\0\0\0\xe0\x3f",
                        19));

template <typename Number>
Number number_at(const data::StoredTensor& tensor, std::size_t index) {
  Number number;
  std::memcpy(&number, tensor.data.data() + index * sizeof number, sizeof number);
  return number;
}

}  // namespace

TEST_CASE("safetensors: names, dtypes, shapes and data") {
  const ScratchFolder folder;
  SafetensorsFile original(folder.write("good", kGood));
  const SafetensorsFile file = std::move(original);  // views stay good
  const auto& tensors = file.tensors();
  REQUIRE(tensors.size() == 4);
  CHECK(tensors.at("a").dtype == "F32");
  CHECK(tensors.at("a").shape == std::vector<std::int64_t>{2, 1});
  CHECK(number_at<float>(tensors.at("a"), 0) == 1.0f);
  CHECK(number_at<float>(tensors.at("a"), 1) == -2.0f);
  CHECK(tensors.at("b").data.size() == 3);
  CHECK(number_at<std::uint8_t>(tensors.at("b"), 2) == 3);
  CHECK(tensors.at("empty").shape == std::vector<std::int64_t>{0, 7});
  CHECK(tensors.at("empty").data.empty());
  CHECK(tensors.at("scalar").shape.empty());
  CHECK(number_at<double>(tensors.at("scalar"), 0) == 0.5);
}

TEST_CASE("safetensors: a file without tensors") {
  const ScratchFolder folder;
  CHECK(SafetensorsFile(folder.write("x", file_of("{}", ""))).tensors().empty());
}

TEST_CASE("safetensors: lengths that lie") {
  const ScratchFolder folder;
  const auto read = [&](const std::string& bytes) {
    const std::string path = folder.write("x", bytes);
    const std::string text = error_text([&] { SafetensorsFile{path}; });
    CHECK(contains(text, "cannot read safetensors file '" + path + "': "));
    return text;
  };
  CHECK(contains(read(""), "0 bytes, fewer than the 8"));
  CHECK(contains(read("1234567"), "7 bytes, fewer than the 8"));
  CHECK(contains(read(little_endian(3) + "{}"), "length is 3 bytes, but 2 bytes follow"));
  CHECK(contains(read(little_endian(~std::uint64_t{0}) + "{}"), "18446744073709551615 bytes"));
  CHECK(contains(read(little_endian(std::uint64_t{1} << 63) + "{}"), "but 2 bytes follow"));
  CHECK(contains(read(kGood.substr(0, kGood.size() - 1)), "but there are 18 bytes of data"));
  CHECK(contains(read(kGood + "x"), "1 bytes follow the last tensor"));
  CHECK(contains(read(file_of("{}", "x")), "1 bytes follow the last tensor"));
}

TEST_CASE("safetensors: headers that are not what the format says") {
  const ScratchFolder folder;
  const auto read = [&](const std::string& header, std::size_t bytes) {
    const std::string path = folder.write("x", file_of(header, std::string(bytes, 'x')));
    return error_text([&] { SafetensorsFile{path}; });
  };
  const auto tensor = [&](const std::string& fields, std::size_t bytes = 4) {
    return read(R"({"t":{)" + fields + "}}", bytes);
  };
  REQUIRE(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])").empty());

  CHECK(contains(read("", 0), "not a JSON object"));
  CHECK(contains(read("[]", 0), "not a JSON object"));
  CHECK(contains(read("null", 0), "not a JSON object"));
  CHECK(contains(read(" {}", 0), "not a JSON object"));
  CHECK(contains(read(std::string("{}\0", 3), 0), "not a JSON object"));
  CHECK(contains(read("{", 0), "not JSON at byte"));
  CHECK(contains(read("{} {}", 0), "not JSON at byte 4"));
  CHECK(contains(read("{\"\xff\":1}", 0), "not JSON at byte"));
  CHECK(contains(read(R"({"t":[]})", 0), "'t' has no dtype"));
  CHECK(contains(read(R"({"t":1})", 0), "'t' has no dtype"));
  CHECK(contains(read(R"({"__metadata__":[]})", 0), "__metadata__"));
  CHECK(contains(read(R"({"__metadata__":{"a":1}})", 0), "__metadata__"));
  CHECK(contains(read(R"({"t":)" + std::string(200000, '[') + "}", 0), "nests deeper"));
  CHECK(contains(read(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                      R"("t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                      4),
                 "key 't' twice"));
  CHECK(contains(tensor(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])"),
                 "key 'dtype' twice"));
}

TEST_CASE("safetensors: tensors that do not fit") {
  const ScratchFolder folder;
  const auto tensor = [&](const std::string& fields, std::size_t bytes = 4) {
    const std::string header = R"({"t":{)" + fields + "}}";
    const std::string path = folder.write("x", file_of(header, std::string(bytes, 'x')));
    return error_text([&] { SafetensorsFile{path}; });
  };
  CHECK(contains(tensor(R"("shape":[1],"data_offsets":[0,4])"), "has no dtype"));
  CHECK(contains(tensor(R"("dtype":7,"shape":[1],"data_offsets":[0,4])"), "has no dtype"));
  CHECK(
      contains(tensor(R"("dtype":"F31","shape":[1],"data_offsets":[0,4])"), "unknown dtype 'F31'"));
  CHECK(contains(tensor(R"("dtype":"F32","data_offsets":[0,4])"), "no list 'shape'"));
  CHECK(contains(tensor(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), "no list 'shape'"));
  CHECK(contains(tensor(R"("dtype":"F32","shape":[1])"), "no list 'data_offsets'"));
  for (const std::string shape : {"[-1]", "[1.0]", "[\"1\"]", "[null]", "[1e0]", "[true]"}) {
    CAPTURE(shape);
    CHECK(contains(
        tensor(sbp::concat(R"("dtype":"F32","shape":)", shape, R"(,"data_offsets":[0,4])")),
        "holds whole numbers from 0"));
  }
  for (const std::string shape :
       {"[9223372036854775808]", "[2305843009213693952]", "[4294967296,4294967296]",
        "[4294967296,4294967296,0]", "[18446744073709551615]"}) {
    CAPTURE(shape);
    CHECK(contains(
        tensor(sbp::concat(R"("dtype":"F32","shape":)", shape, R"(,"data_offsets":[0,4])")),
        "more bytes than can be counted"));
  }
  for (const std::string offsets : {"[]", "[0]", "[0,4,4]", "[4,0]", "[0,5]", "[5,9]",
                                    "[18446744073709551612,18446744073709551615]"}) {
    CAPTURE(offsets);
    CHECK(contains(tensor(sbp::concat(R"("dtype":"F32","shape":[1],"data_offsets":)", offsets)),
                   "but there are 4 bytes of data"));
  }
  CHECK(contains(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,3])"),
                 "has 3 bytes of data, but its shape [1] of F32 needs 4"));
  CHECK(contains(tensor(R"("dtype":"F64","shape":[1],"data_offsets":[0,4])"), "needs 8"));
}

TEST_CASE("safetensors: tensors that overlap or leave gaps") {
  const ScratchFolder folder;
  const auto pair = [&](const std::string& a, const std::string& b) {
    const std::string header = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
                               R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}";
    const std::string path = folder.write("x", file_of(header, std::string(9, 'x')));
    return error_text([&] { SafetensorsFile{path}; });
  };
  CHECK(contains(pair("[0,4]", "[4,8]"), "1 bytes follow the last tensor"));
  CHECK(contains(pair("[0,4]", "[5,9]"), "'b' starts at byte 5 of the data, with a gap after"));
  CHECK(contains(pair("[5,9]", "[1,5]"), "'b' starts at byte 1 of the data, with a gap after"));
  CHECK(contains(pair("[0,4]", "[3,7]"), "'b' starts at byte 3 of the data, inside"));
  CHECK(contains(pair("[0,4]", "[0,4]"), "'b' starts at byte 0 of the data, inside"));
}

TEST_CASE("safetensors: a damaged file is read or refused, never worse") {
  const ScratchFolder folder;
  sbp::RandomStream stream({.seed = 21});
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = kGood;
    const std::uint64_t changes = 1 + stream.below(3);
    for (std::uint64_t i = 0; i < changes; ++i) {
      damaged[stream.below(damaged.size())] = static_cast<char>(stream.below(256));
    }
    if (round % 4 == 0) damaged.resize(stream.below(damaged.size()));
    const std::string path = folder.write("x", damaged);
    if (!error_text([&] { SafetensorsFile{path}; }).empty()) ++refused;
  }
  CHECK(refused > 2000);
}

TEST_CASE("safetensors: missing files and folders") {
  const ScratchFolder folder;
  CHECK(contains(error_text([&] { SafetensorsFile{folder.path("none")}; }),
                 "No such file or directory"));
  CHECK(contains(error_text([&] { SafetensorsFile{folder.path()}; }), "it is a folder"));
}

TEST_CASE("safetensors: every golden file opens" * doctest::test_suite("vectors")) {
  const char* folder = std::getenv("SBP_GOLDEN_DIR");
  if (folder == nullptr) SBP_SKIP("SBP_GOLDEN_DIR does not name the folder of golden vectors");
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    CAPTURE(entry.path().string());
    const SafetensorsFile file(entry.path().string());
    CHECK(!file.tensors().empty());
    ++files;
  }
  CHECK(files > 0);
}
