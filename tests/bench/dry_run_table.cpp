// The dry run against the CPU run, to the byte: all small models x strategies x precisions, model
// variants and every other setting. Prints one table by model, by strategy and by setting each, of
// the largest differences (Meta less CPU), then whatever is not zero, by name. Exits with 1 where
// a difference has no name. Some minutes a model.
//
// dry_run_table [MODEL...]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "reports/format.h"
#include "reports/table.h"
#include "sbp/base/error.h"
#include "tests/torch/experiments/dry_run_cases.h"
#include "tests/torch/experiments/dry_run_difference.h"

namespace sbp::tests {
namespace {

// The value that is furthest from 0.
class Largest {
 public:
  void add(std::int64_t value) {
    if (std::abs(value) > std::abs(value_)) value_ = value;
  }
  std::string text() const { return reports::change_text(value_); }

 private:
  std::int64_t value_ = 0;
};

struct Row {
  std::int64_t runs = 0, refused = 0, unnamed = 0;
  Largest logical, distinct, index, plain_peak, peak;

  void add(const DryRunDifference& difference) {
    ++runs;
    if (!difference.refused.empty()) {
      ++refused;
      return;
    }
    if (!difference.same_saves() || !difference.same_blocks()) ++unnamed;
    peak.add(difference.peak_bytes);
    logical.add(difference.saved_logical_bytes);
    distinct.add(difference.saved_distinct_bytes);
    index.add(difference.saved_index_bytes);
    plain_peak.add(difference.plain_peak_bytes);
  }
};

using Rows = std::map<std::string, Row>;

void print(const std::string& heading, const Rows& rows) {
  using Align = reports::Table::Align;
  reports::Table table({{heading, Align::left},
                        {"runs", Align::right},
                        {"refused", Align::right},
                        {"saved logical", Align::right},
                        {"distinct", Align::right},
                        {"index", Align::right},
                        {"peak, plain", Align::right},
                        {"peak", Align::right},
                        {"unnamed", Align::right}});
  for (const auto& [name, row] : rows) {
    table.add({name, reports::count_text(row.runs), reports::count_text(row.refused),
               row.logical.text(), row.distinct.text(), row.index.text(), row.plain_peak.text(),
               row.peak.text(), reports::count_text(row.unnamed)});
  }
  std::cout << '\n' << table.text();
}

void print_unnamed(const DryRunCase& one, const DryRunDifference& difference) {
  if (difference.same_saves() && difference.same_blocks()) return;
  std::cout << one.model << ", " << one.strategy << ", " << one.setting << ": " << difference.failed
            << "peak " << difference.plain_peak_bytes << '\n';
  for (const std::string& layer : difference.layers) std::cout << "  saves of " << layer << '\n';
  for (const std::string& block : difference.unexplained) std::cout << "  " << block << '\n';
}

std::string model_name(const DryRunCase& one) {
  return one.model.substr(0, one.model.find(':'));
}

int run(const std::vector<std::string>& models) {
  Rows by_model, by_strategy, by_setting, exempt;
  std::int64_t unnamed = 0;
  for (const DryRunCase& one : all_cases(models)) {
    const DryRunDifference difference = dry_run_difference(one.options);
    if (difference.exempt) {
      exempt[concat(model_name(one), ", ", one.strategy)].add(difference);
    } else {
      by_model[model_name(one)].add(difference);
      by_strategy[one.strategy].add(difference);
      by_setting[one.setting].add(difference);
    }
    print_unnamed(one, difference);
    if (!difference.same_saves() || !difference.same_blocks()) ++unnamed;
  }
  std::cout << "Meta less CPU, the largest difference of all runs\n";
  print("model", by_model);
  print("strategy", by_strategy);
  print("setting", by_setting);
  print("exempt", exempt);
  std::cout << "\nrefused: both runs say the same sentence in place of a figure"
               "\nexempt:  select=nsigma keeps what the data says; Meta reports expected sizes"
               "\nplain:   without what only the CPU allocates: workspaces of convolutions, "
               "temporaries inside of its kernels, scalars (blocks of at most "
            << kScalarBytes << " bytes)\n"
            << unnamed << " runs with a difference that has no name\n";
  return unnamed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace sbp::tests

int main(int argc, char** argv) {
  return sbp::tests::run(std::vector<std::string>(argv + 1, argv + argc));
}
