#include "reports/documents.h"
#include "reports/figures.h"
#include "reports/format.h"
#include "reports/layer_tables.h"
#include "reports/render.h"
#include "reports/sections.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using predict::Prediction;

std::string moment_text(const predict::Moment& moment) {
  std::string text = moment.step == 0
                         ? std::string("before the first step")
                         : concat("in ", to_string(moment.phase), " of step ", moment.step);
  if (!moment.layer.empty()) text += ", at " + moment.layer;
  return text;
}

std::string fit_text(const predict::Fit& fit, const predict::Interval& interval) {
  if (fit.fits) {
    std::string text = concat("yes, in ", bytes_text(fit.peak_device_bytes), " of ",
                              bytes_text(fit.capacity_bytes));
    if (fit.retries > 0) {
      text += concat(", giving cached memory back ", count_text(fit.retries),
                     fit.retries == 1 ? " time" : " times");
    }
    const bool is_sure = interval.high_bytes <= fit.capacity_bytes;
    return is_sure ? text : text + "; not for sure: it may peak above that";
  }
  return concat("no, not in ", bytes_text(fit.capacity_bytes), ": ", bytes_text(fit.failed_bytes),
                " more are asked for ", moment_text(fit.failed_at.value_or(predict::Moment{})));
}

std::string largest_batch_text(const predict::LargestBatch& largest) {
  if (largest.batch == 0) return "none that was tried fits";
  const auto counted = [&](std::int64_t batch) {
    return concat(count_text(batch), largest.or_more && batch == largest.batch ? " or more" : "");
  };
  std::string text = concat(counted(largest.batch), ", in ", bytes_text(largest.peak_device_bytes));
  if (largest.cautious_batch) {
    text += concat("; ", *largest.cautious_batch == 0 ? "none" : counted(*largest.cautious_batch),
                   " if it peaks at the upper end of what is likely");
  }
  if (largest.bound) {
    text +=
        concat("; none from ", count_text(*largest.bound), " on, where tensors alone take more");
  }
  return text;
}

std::string accuracy_text(const predict::Accuracy& accuracy) {
  if (accuracy.runs == 0) return "not known: scored on no run that was read on a card";
  const std::string what = accuracy.runs_of.empty() ? "" : concat(" of ", accuracy.runs_of);
  return concat("on ", count_text(accuracy.runs), " runs", what, ", read there: median error ",
                number_text(100 * accuracy.median_error, 1), " %, worst ",
                number_text(100 * accuracy.worst_error, 1), " %, too low in ",
                number_text(100 * accuracy.under_estimate_rate, 0), " %, by more than 5 % in ",
                number_text(100 * accuracy.under_by_5_percent_rate, 0), " %");
}

// "rtx3060:memory=12622168064B,..." -> "rtx3060".
std::string name_of_card(const Prediction& prediction) {
  return prediction.device.substr(0, prediction.device.find(':'));
}

std::string peak_text(const Prediction& prediction) {
  std::string text =
      concat(bytes_text(prediction.peak_device_bytes), " on ", name_of_card(prediction));
  if (prediction.fits && !prediction.fits->fits) text += " without end";
  if (prediction.accuracy.runs > 0) {
    text += concat(", most likely between ", bytes_text(prediction.interval.low_bytes), " and ",
                   bytes_text(prediction.interval.high_bytes));
  }
  return text +
         concat(", in ", count_text(prediction.steps), prediction.steps == 1 ? " step" : " steps");
}

Facts facts_of(const PredictionReport& report) {
  const Prediction& prediction = report.prediction;
  Facts facts = {{"peaks at", peak_text(prediction)}};
  if (prediction.fits) {
    facts.emplace_back("fits", fit_text(*prediction.fits, prediction.interval));
  }
  if (prediction.largest_batch) {
    const predict::LargestBatch& largest = *prediction.largest_batch;
    facts.emplace_back("largest batch", largest_batch_text(largest));
  }
  facts.emplace_back("how good", accuracy_text(prediction.accuracy));
  facts.emplace_back("allocated", concat(bytes_text(prediction.peak_allocated_bytes), " at most, ",
                                         moment_text(prediction.allocated_peak)));
  facts.emplace_back("reserved", concat(bytes_text(prediction.peak_reserved_bytes), " at most, ",
                                        moment_text(prediction.reserved_peak)));
  facts.emplace_back("saved", saved_text(report.saved));
  return facts;
}

// From what is asked for to what the card holds, adding up. What is nothing is left out.
DataTable parts_table(const Prediction& prediction) {
  DataTable table{.name = "parts", .title = "the card's memory when tensors take the most"};
  table.columns = {
      text_column("part"), {"bytes", "bytes"}, {"share"}, text_column("up_to", "so far")};
  std::int64_t sum_bytes = 0;
  const auto add = [&](const std::string& name, std::int64_t bytes, const char* so_far) {
    sum_bytes += bytes;
    if (bytes == 0) return;
    table.add({cell::Word{name}, cell::Bytes{bytes},
               cell::Percent{static_cast<double>(bytes) /
                             static_cast<double>(prediction.peak_device_bytes)},
               cell::Text{*so_far == 0 ? "" : concat(bytes_text(sum_bytes), " ", so_far)}});
  };
  const profiler::CategoryBytes categories = requested_by_category(prediction);
  for (std::size_t i = 0; i < categories.size(); ++i) {
    add(std::string(to_string(static_cast<profiler::Category>(i))), categories[i], "");
  }
  for (const predict::NamedBytes& part : prediction.overheads) {
    const bool is_block_end = part.name == "rounding";
    const bool is_segment_end = part.name == "cached";
    add(part.name, part.bytes, is_block_end ? "allocated" : is_segment_end ? "reserved" : "");
  }
  table.add({cell::Word{"all"}, cell::Bytes{prediction.peak_device_bytes}, cell::Percent{1.0},
             cell::Text{}});
  return table;
}

DataTable table_of_layers(std::string name, std::string title) {
  using Readers = DataTable::Readers;
  constexpr auto kRight = Table::Align::right;
  DataTable table{.name = std::move(name), .title = std::move(title)};
  table.columns = {text_column("name", "layer"),
                   text_column("kind"),
                   {"saved_logical_bytes"},
                   {"saved_distinct_bytes", "distinct"},
                   {"saved_marginal_bytes", "marginal"},
                   {"saved_index_bytes", "", kRight, Readers::programs},
                   {"saved_count", "", kRight, Readers::programs},
                   {"requested_bytes", "at the peak"},
                   {"block_bytes", "in blocks of"}};
  return table;
}

void add_layer(DataTable& table, const predict::LayerBytes& layer) {
  table.add({cell::Text{layer.name}, cell::Text{layer.kind}, cell::Bytes{layer.saved.logical_bytes},
             cell::Bytes{layer.saved.distinct_bytes}, cell::Bytes{layer.saved.marginal_bytes},
             cell::Bytes{layer.saved.index_bytes}, cell::Count{layer.saved.count},
             cell::Bytes{layer.requested_bytes}, cell::Bytes{layer.block_bytes}});
}

DataTable blocks_table(const Prediction& prediction) {
  DataTable table = table_of_layers("blocks", "blocks, and layers outside them");
  for (predict::LayerBytes unit : block_units(prediction)) {
    unit.name = layer_text(unit.name);
    add_layer(table, unit);
  }
  return table;
}

DataTable layers_table(const Prediction& prediction) {
  DataTable table =
      table_of_layers("layers", "layers (saved bytes of a parent include its children's)");
  table.ranked_by = "requested_bytes";
  for (const predict::LayerBytes& layer : prediction.layers) add_layer(table, layer);
  return table;
}

}  // namespace

Document document_of(const PredictionReport& report) {
  Document document{.title = "memory of a GPU, predicted"};
  document.facts = facts_of(report);
  for (auto& fact : header_facts(report.header, report.model, &report.strategy)) {
    document.facts.push_back(std::move(fact));
  }
  document.facts.emplace_back("predicted for", report.prediction.device);
  document.facts.emplace_back("allocator", report.prediction.allocator);
  document.tables = {summary_table(report.model, report.strategy, figures_of(report)),
                     parts_table(report.prediction), blocks_table(report.prediction),
                     layers_table(report.prediction), plan_table(report.plan)};
  document.main_table = "parts";
  document.warnings = report.header.warnings;
  return document;
}

std::string to_text(const PredictionReport& report, const TextOptions& options) {
  Document document = document_of(report);
  // Of the plan people see what drops or codes something.
  std::erase_if(document.tables, [](const DataTable& table) { return table.name == "plan"; });
  document.warnings.clear();
  std::string text = document_text(document, options);
  const std::string plan = plan_rows_text(report.plan);
  if (!plan.empty()) text += "\n" + heading("plan", options.color) + plan;
  return text + warnings_text(report.header, options.color);
}

}  // namespace sbp::reports
