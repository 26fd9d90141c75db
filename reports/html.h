// Reports as one page that opens from disk: figures, their tables, light and dark, no network.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "reports/json.h"

namespace sbp::reports {

// The report of a sweep's point; nothing where there is none.
using PointLoader = std::function<std::optional<AnyReport>(const SweepPoint& point)>;

struct PageInput {
  std::string name;  // the file or folder it was read from
  AnyReport report;
  PointLoader points;  // of a sweep; empty: the page shows no point layer by layer
};

// One self-contained page about all inputs, in their order, compared where that can be: style and
// scripts inside, the data as JSON, and a policy that forbids everything else. Texts of the reports
// are data, never markup. What the page does not draw is left out of its data. The same inputs give
// the same page. At least one input.
std::string html_page(const std::vector<PageInput>& inputs);

}  // namespace sbp::reports
