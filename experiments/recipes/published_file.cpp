#include "experiments/recipes/published_file.h"

#include <algorithm>
#include <filesystem>

#include "experiments/recipes/settings_file.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::experiments {
namespace {

using Json = SettingsFile::Json;
using Options = std::vector<std::pair<std::string, std::string>>;

class Reader : SettingsFile {
 public:
  explicit Reader(const std::string& name)
      : SettingsFile("published figures", name), stem_(std::filesystem::path(name).stem()) {}

  PublishedFile read(std::string_view text) {
    const Json document = parse(
        text,
        {.depth = 3, .too_deep = "nests deeper than rows and their options do", .has_lists = true});
    if (!document.is_object()) fail("is not a JSON object");
    for (const auto& [key, value] : document.items()) take(key, value);
    if (file_.rows.empty() && file_.left_out.empty()) fail("has no 'rows'");
    if (!file_.rows.empty() && file_.predict.empty()) fail("has no 'predict', the GPU of its rows");
    for (const PublishedRow& row : file_.rows) check(row);
    return std::move(file_);
  }

 private:
  void take(const std::string& key, const Json& value) {
    if (key == "about") {
      file_.about = text_of(key, value);
    } else if (key == "source") {
      file_.source = text_of(key, value);
    } else if (key == "predict") {
      file_.predict = text_of(key, value);
    } else if (key == "measured") {
      file_.measured = measured_of(text_of(key, value));
    } else if (key == "distributed") {
      if (!value.is_boolean()) fail("has a 'distributed' that is neither true nor false");
      file_.distributed = value.get<bool>();
    } else if (key == "options") {
      common_ = settings_of(key, value);
    } else if (key == "reasons") {
      file_.reasons = settings_of(key, value);
    } else if (key == "left_out") {
      file_.left_out = settings_of(key, value);
    } else if (key == "rows") {
      if (!value.is_array()) fail("has 'rows' that are no list");
      for (const Json& row : value) file_.rows.push_back(row_of(row));
    } else {
      fail(concat("has the key '", key, "'; it may have about, source, predict, measured, ",
                  "distributed, options, reasons, rows and left_out"));
    }
  }

  PublishedRow row_of(const Json& value) const {
    if (!value.is_object()) fail("has a row that is no JSON object");
    PublishedRow row;
    row.options = common_;
    for (const auto& [key, member] : value.items()) {
      if (key == "name") {
        row.name = concat(stem_, "/", text_of(key, member));
      } else if (key == "published") {
        row.published = text_of(key, member);
      } else if (key == "baseline") {
        row.baseline = concat(stem_, "/", text_of(key, member));
      } else if (key == "options") {
        for (const auto& option : settings_of(key, member)) set(row.options, option);
      } else if (key == "reasons") {
        if (!member.is_array()) fail("has a row whose 'reasons' are no list of names");
        for (const Json& reason : member) row.reasons.push_back(text_of(key, reason));
      } else {
        fail(concat("has a row with the key '", key,
                    "'; it may have name, published, baseline, options and reasons"));
      }
    }
    if (row.name.empty()) fail("has a row without a 'name'");
    const auto bytes = parse_size(row.published);
    if (!bytes || *bytes <= 0) {
      fail(concat("gives row '", row.name, "' the published figure '", row.published,
                  "'; it must be a size, such as 8248 MiB"));
    }
    row.published_bytes = *bytes;
    return row;
  }

  void check(const PublishedRow& row) const {
    const auto is = [](const std::string& name) {
      return [&name](const PublishedRow& other) { return other.name == name; };
    };
    if (std::ranges::count_if(file_.rows, is(row.name)) != 1) {
      fail(concat("has the row '", row.name, "' twice"));
    }
    if (!row.baseline.empty() && std::ranges::none_of(file_.rows, is(row.baseline))) {
      fail(concat("has no row '", row.baseline, "', the baseline of '", row.name, "'"));
    }
    for (const std::string& reason : row.reasons) {
      if (std::ranges::find(file_.reasons, reason, &Options::value_type::first) ==
          file_.reasons.end()) {
        fail(concat("says nothing of the reason '", reason, "' of row '", row.name, "'"));
      }
    }
  }

  Measured measured_of(const std::string& word) const {
    if (word == "training") return Measured::training;
    if (word == "forward") return Measured::forward;
    fail(concat("has measured '", word, "'; it is training or forward"));
  }

  std::string text_of(const std::string& key, const Json& value) const {
    if (!value.is_string()) fail(concat("has a '", key, "' that is not a text"));
    return value.get<std::string>();
  }

  Options settings_of(const std::string& key, const Json& value) const {
    if (!value.is_object()) fail(concat("has '", key, "' that are no JSON object"));
    Options settings;
    for (const auto& [name, member] : value.items()) {
      settings.emplace_back(name, spelled(name, member));
    }
    return settings;
  }

  static void set(Options& options, const std::pair<std::string, std::string>& option) {
    const auto found = std::ranges::find(options, option.first, &Options::value_type::first);
    if (found == options.end()) {
      options.push_back(option);
    } else {
      found->second = option.second;
    }
  }

  std::string stem_;
  Options common_;
  PublishedFile file_;
};

}  // namespace

PublishedFile parse_published_file(std::string_view text, const std::string& name) {
  return Reader(name).read(text);
}

PublishedFile read_published_file(const std::string& path) {
  return parse_published_file(read_settings("published figures", path), path);
}

std::vector<std::string> published_files(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return {path};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  if (files.empty()) {
    throw UsageError(concat("folder of published figures '", path, "' holds no JSON file"));
  }
  return files;
}

}  // namespace sbp::experiments
