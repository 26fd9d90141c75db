// Which points of a sweep the page shows layer by layer, and what it holds of them.
#include <algorithm>
#include <functional>
#include <set>

#include "reports/html_data.h"

namespace sbp::reports {
namespace {

// So many points beside those of the fronts.
constexpr std::size_t kOthers = 50;
// Numbers of all points together, some twenty bytes each, so that a page stays below 10 MB.
constexpr std::size_t kDetailNumbers = 250'000;

using Bytes = std::optional<std::int64_t> PointFigures::*;
using Quality = std::optional<double> PointFigures::*;

// Places of the points that no other is at least as good as in both: fewer bytes, higher quality.
std::set<std::size_t> front(const std::vector<SweepPoint>& points, Bytes bytes, Quality quality) {
  std::vector<std::size_t> known;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const PointFigures& figures = points[i].figures;
    if (points[i].status == PointStatus::finished && figures.*bytes && figures.*quality) {
      known.push_back(i);
    }
  }
  std::ranges::stable_sort(known, [&](std::size_t a, std::size_t b) {
    const PointFigures& left = points[a].figures;
    const PointFigures& right = points[b].figures;
    if (left.*bytes != right.*bytes) return *(left.*bytes) < *(right.*bytes);
    return *(left.*quality) > *(right.*quality);
  });
  std::set<std::size_t> chosen;
  std::optional<double> best;
  for (const std::size_t i : known) {
    const double value = *(points[i].figures.*quality);
    if (best && value <= *best) continue;
    best = value;
    chosen.insert(i);
  }
  return chosen;
}

std::set<std::size_t> all_fronts(const std::vector<SweepPoint>& points) {
  std::set<std::size_t> chosen;
  for (const Bytes bytes : {&PointFigures::saved_distinct_bytes, &PointFigures::peak_bytes}) {
    for (const Quality quality : {&PointFigures::cosine, &PointFigures::top1}) {
      chosen.merge(front(points, bytes, quality));
    }
  }
  return chosen;
}

// At most kOthers finished points that are not `taken`, evenly over the plan.
std::vector<std::size_t> evenly_chosen(const std::vector<SweepPoint>& points,
                                       const std::set<std::size_t>& taken) {
  std::vector<std::size_t> left;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].status == PointStatus::finished && !taken.contains(i)) left.push_back(i);
  }
  if (left.size() <= kOthers) return left;
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < kOthers; ++i) chosen.push_back(left[i * left.size() / kOthers]);
  return chosen;
}

void keep_only(Json& object, const std::set<std::string>& keys) {
  Json kept = Json::object();
  for (const auto& item : object.items()) {
    if (keys.contains(item.key())) kept[item.key()] = item.value();
  }
  object = std::move(kept);
}

Json kept_layers(Json layers) {
  for (Json& layer : layers) {
    keep_only(layer, {"name", "kind", "saved_distinct_bytes", "saved_marginal_bytes",
                      "own_peak_bytes", "cosine", "cosine_reason", "relative_error",
                      "relative_error_reason", "norm_ratio", "norm_ratio_reason", "sign_agreement",
                      "sign_agreement_reason", "local_cosine", "local_cosine_reason"});
  }
  return layers;
}

// What the page holds of a point: layers, and what lived at its peak. Null: nothing of the kind.
Json detail(const AnyReport& report) {
  Json json = std::visit([](const auto& any) { return Json::parse(to_json(any)); }, report);
  Json found = Json::object();
  if (json.contains("memory") && json["memory"].is_object()) {
    Json& memory = json["memory"];
    if (memory.contains("layers")) found["layers"] = kept_layers(memory["layers"]);
    keep_only(memory, {"peak_bytes", "categories_at_peak"});
    found["memory"] = std::move(memory);
  }
  if (json["kind"] == "correlate" && !json["fidelity"]["strategies"].empty()) {
    found["layers"] = kept_layers(json["fidelity"]["strategies"].front()["layers"]);
  }
  return found.empty() ? Json() : found;
}

std::size_t numbers_in(const Json& value) {
  if (!value.is_structured()) return value.is_number() ? 1 : 0;
  std::size_t count = 0;
  for (const Json& member : value) count += numbers_in(member);
  return count;
}

}  // namespace

void add_point_details(Json& page, const SweepReport& sweep, const PointLoader& load) {
  const std::set<std::size_t> fronts = all_fronts(sweep.points);
  std::vector<std::size_t> order(fronts.begin(), fronts.end());
  std::ranges::copy(evenly_chosen(sweep.points, fronts), std::back_inserter(order));
  Json details = Json::array();
  std::size_t numbers = 0;
  std::int64_t left_out = 0;
  for (const std::size_t i : order) {
    const std::optional<AnyReport> report = load(sweep.points[i]);
    if (!report) continue;
    Json found = detail(*report);
    if (found.is_null()) continue;
    numbers += numbers_in(found);
    if (numbers > kDetailNumbers) {
      ++left_out;
      continue;
    }
    Json entry = Json::object();
    entry["id"] = sweep.points[i].id;
    entry["front"] = fronts.contains(i);
    entry.update(compacted(found));
    details.push_back(std::move(entry));
  }
  page["details"] = std::move(details);
  page["details_left_out"] = left_out;
}

}  // namespace sbp::reports
