#include "reports/documents.h"
#include "reports/figures.h"
#include "reports/format.h"
#include "reports/render.h"
#include "reports/sections.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using predict::Prediction;

std::string moment_text(const predict::Moment& moment) {
  std::string text = moment.step == 0 ? std::string("before the first step")
                                      : concat(to_string(moment.phase), " of step ", moment.step);
  if (!moment.layer.empty()) text += ", at " + moment.layer;
  return text;
}

std::string fit_text(const predict::Fit& fit) {
  if (fit.fits) {
    std::string text = concat("yes, in ", bytes_text(fit.peak_device_bytes), " of ",
                              bytes_text(fit.capacity_bytes));
    if (fit.retries > 0) {
      text += concat(", giving cached memory back ", count_text(fit.retries),
                     fit.retries == 1 ? " time" : " times");
    }
    return text;
  }
  return concat("no, not in ", bytes_text(fit.capacity_bytes), ": ", bytes_text(fit.failed_bytes),
                " more are asked for in ", moment_text(fit.failed_at.value_or(predict::Moment{})));
}

std::string accuracy_text(const predict::Accuracy& accuracy) {
  return concat("of ", count_text(accuracy.runs), " runs read on cards: median error ",
                number_text(100 * accuracy.median_error, 1), " %, worst ",
                number_text(100 * accuracy.worst_error, 1), " %, too low in ",
                number_text(100 * accuracy.under_estimate_rate, 0), " %, by more than 5 % in ",
                number_text(100 * accuracy.under_by_5_percent_rate, 0), " %");
}

std::vector<std::pair<std::string, std::string>> facts_of(const PredictionReport& report) {
  const Prediction& prediction = report.prediction;
  std::vector<std::pair<std::string, std::string>> facts = {
      {"predicted for", prediction.device},
      {"allocator", prediction.allocator},
      {"peaks at", concat(bytes_text(prediction.peak_device_bytes), " on the card, between ",
                          bytes_text(prediction.interval.low_bytes), " and ",
                          bytes_text(prediction.interval.high_bytes))},
      {"", concat(bytes_text(prediction.peak_reserved_bytes), " reserved, in ",
                  moment_text(prediction.reserved_peak))},
      {"", concat(bytes_text(prediction.peak_allocated_bytes), " allocated, in ",
                  moment_text(prediction.allocated_peak))},
      {"how good", accuracy_text(prediction.accuracy)}};
  if (prediction.fits) facts.emplace_back("fits", fit_text(*prediction.fits));
  if (prediction.largest_batch) {
    const predict::LargestBatch& largest = *prediction.largest_batch;
    facts.emplace_back("largest batch", largest.batch == 0
                                            ? std::string("not even 1 fits")
                                            : concat(count_text(largest.batch), ", in ",
                                                     bytes_text(largest.peak_device_bytes)));
  }
  facts.emplace_back("saved", saved_text(report.saved));
  return facts;
}

// From what is asked for to what the card holds, adding up.
DataTable parts_table(const Prediction& prediction) {
  DataTable table{.name = "parts", .title = "the card's memory when it peaks"};
  table.columns = {text_column("part"), {"bytes", "bytes"}, {"share"}};
  const auto add = [&](const std::string& name, std::int64_t bytes) {
    table.add({cell::Word{name}, cell::Bytes{bytes},
               cell::Percent{static_cast<double>(bytes) /
                             static_cast<double>(prediction.peak_device_bytes)}});
  };
  profiler::CategoryBytes categories{};
  for (const predict::LayerBytes& layer : prediction.layers) {
    for (std::size_t i = 0; i < categories.size(); ++i) categories[i] += layer.categories[i];
  }
  for (std::size_t i = 0; i < categories.size(); ++i) {
    if (categories[i] == 0) continue;
    add(std::string(to_string(static_cast<profiler::Category>(i))), categories[i]);
  }
  for (const predict::NamedBytes& part : prediction.overheads) add(part.name, part.bytes);
  add("all", prediction.peak_device_bytes);
  return table;
}

DataTable layers_table(const Prediction& prediction) {
  DataTable table{.name = "layers", .title = "layers that own most of it"};
  table.columns = {text_column("name", "layer"),
                   text_column("kind"),
                   {"requested_bytes", "requested"},
                   {"block_bytes", "in blocks of"}};
  table.ranked_by = "requested_bytes";
  for (const predict::LayerBytes& layer : prediction.layers) {
    table.add({cell::Text{layer.name}, cell::Text{layer.kind}, cell::Bytes{layer.requested_bytes},
               cell::Bytes{layer.block_bytes}});
  }
  return table;
}

}  // namespace

Document document_of(const PredictionReport& report) {
  Document document{.title = "memory of a GPU, predicted"};
  document.facts = header_facts(report.header, report.model, &report.strategy);
  for (auto& fact : facts_of(report)) document.facts.push_back(std::move(fact));
  document.tables = {summary_table(report.model, report.strategy, figures_of(report)),
                     parts_table(report.prediction), layers_table(report.prediction),
                     plan_table(report.plan)};
  document.main_table = "parts";
  document.warnings = report.header.warnings;
  return document;
}

std::string to_text(const PredictionReport& report, const TextOptions& options) {
  return document_text(document_of(report), options);
}

}  // namespace sbp::reports
