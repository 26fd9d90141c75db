#include "reports/figures.h"

#include <cmath>

#include "reports/sections.h"
#include "sbp/base/number.h"

namespace sbp::reports {
namespace {

std::optional<std::int64_t> batch_of(const Header& header) {
  for (const auto& [key, value] : header.configuration) {
    const auto* batch = std::get_if<std::int64_t>(&value);
    if (key == "batch" && batch != nullptr) return *batch;
  }
  return std::nullopt;
}

std::optional<double> mean_local_cosine(const std::vector<LayerFidelity>& layers) {
  double sum = 0.0;
  std::int64_t count = 0;
  for (const LayerFidelity& layer : layers) {
    if (!layer.local_cosine) continue;
    sum += *layer.local_cosine;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

void add_agreement(PointFigures& figures, const Agreement& agreement) {
  figures.cosine = agreement.cosine;
  figures.relative_error = agreement.relative_error;
  figures.norm_ratio = agreement.norm_ratio;
  figures.sign_agreement = agreement.sign_agreement;
}

void add_layer_cosine(PointFigures& figures, const LayerSpread& cosine) {
  figures.mean_layer_cosine = cosine.mean;
  figures.minimum_layer_cosine = cosine.minimum;
}

}  // namespace

PointFigures figures_of(const ProfileReport& report) {
  PointFigures figures;
  figures.batch = batch_of(report.header);
  figures.effective_keep_ratio = report.strategy.effective_keep_ratio;
  figures.peak_bytes = report.memory.peak.bytes;
  figures.transient_peak_bytes = report.memory.transient_peak_bytes;
  figures.saved_distinct_bytes = report.memory.saved.distinct_bytes;
  figures.saved_index_bytes = report.memory.saved.index_bytes;
  figures.train_loss = report.loss;
  if (report.time) {
    figures.step_seconds = report.time->step.median;
    figures.samples_per_second = report.time->samples_per_second;
  }
  return figures;
}

PointFigures figures_of(const PredictionReport& report) {
  PointFigures figures;
  figures.batch = batch_of(report.header);
  figures.effective_keep_ratio = report.strategy.effective_keep_ratio;
  figures.peak_bytes = report.prediction.peak_requested_bytes;
  figures.device_peak_bytes = report.prediction.peak_device_bytes;
  if (report.prediction.fits) {
    figures.capacity_bytes = report.prediction.fits->capacity_bytes;
    figures.fits = report.prediction.fits->fits ? 1 : 0;
  }
  if (report.prediction.largest_batch) {
    figures.largest_batch = report.prediction.largest_batch->batch;
  }
  figures.saved_distinct_bytes = report.saved.distinct_bytes;
  figures.saved_index_bytes = report.saved.index_bytes;
  return figures;
}

PointFigures figures_of(const TrainReport& report) {
  PointFigures figures;
  figures.batch = batch_of(report.header);
  figures.effective_keep_ratio = report.strategy.effective_keep_ratio;
  if (report.memory) {
    figures.peak_bytes = report.memory->peak_bytes;
    figures.transient_peak_bytes = report.memory->transient_peak_bytes;
    figures.saved_distinct_bytes = report.memory->saved.distinct_bytes;
    figures.saved_index_bytes = report.memory->saved.index_bytes;
  }
  if (!report.epochs.empty()) {
    figures.train_loss = report.epochs.back().train_loss;
    figures.samples_per_second = report.epochs.back().samples_per_second;
  }
  if (report.final_evaluation) {
    figures.test_loss = report.final_evaluation->loss;
    figures.top1 = report.final_evaluation->top1;
    figures.top5 = report.final_evaluation->top5;
  }
  if (!report.fidelity.empty()) {
    add_agreement(figures, report.fidelity.back().agreement);
    add_layer_cosine(figures, report.fidelity.back().cosine_over_layers);
  }
  return figures;
}

PointFigures figures_of(const CorrelateReport& report, const StrategyFidelity& strategy) {
  PointFigures figures;
  figures.batch = batch_of(report.header);
  figures.effective_keep_ratio = strategy.strategy.effective_keep_ratio;
  figures.peak_bytes = strategy.peak_bytes;
  figures.saved_distinct_bytes = strategy.saved_distinct_bytes;
  figures.saved_index_bytes = strategy.saved_index_bytes;
  add_agreement(figures, strategy.agreement);
  add_layer_cosine(figures, strategy.over_layers.cosine);
  figures.local_cosine = mean_local_cosine(strategy.layers);
  figures.update_cosine = strategy.update_cosine;
  figures.noise_ratio = strategy.noise.noise_ratio;
  return figures;
}

Cell figure_cell(std::string_view name, std::int64_t value) {
  if (name.ends_with("_bytes")) return cell::Bytes{value};
  if (name == "fits") return cell::Word{value != 0 ? "yes" : "no"};
  return cell::Count{value};
}

Cell figure_cell(std::string_view name, double value) {
  // Means of bytes over seeds.
  if (name.ends_with("_bytes")) return cell::MeanBytes{value};
  if (name.ends_with("_seconds")) return cell::Seconds{value};
  if (name == "top1" || name == "top5" || name == "fits") return cell::Percent{value};
  if (name == "batch" || name == "largest_batch")
    return cell::Number{value, std::trunc(value) == value ? 0 : 1};
  // Mostly far below 1: digits after the first that is not 0.
  if (name == "noise_ratio") return cell::Number{value, -1};
  return cell::Number{value, name == "samples_per_second" ? 1 : 4};
}

DataTable::Column figure_column(const std::string& name) {
  DataTable::Column column{name};
  if (name == "device_peak_bytes") column.heading = "peak on the card";
  if (name == "top1") column.heading = "top-1";
  if (name == "top5") column.heading = "top-5";
  if (name == "step_seconds") column.heading = "step time";
  if (name == "samples_per_second") column.heading = "samples/s";
  if (name == "saved_index_bytes") column.heading = "indices";
  return column;
}

std::vector<DataTable::Column> figure_columns() {
  std::vector<DataTable::Column> columns;
  PointFigures figures;
  each_figure(figures,
              [&](const char* name, const auto&) { columns.push_back(figure_column(name)); });
  return columns;
}

void add_figures(std::vector<Cell>& row, const PointFigures& figures) {
  each_figure(figures, [&](const char* name, const auto& value) {
    row.push_back(figure_cell(name, value));
  });
}

}  // namespace sbp::reports
