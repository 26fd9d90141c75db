// The data of the HTML page. Private to reports/*.cpp.
#pragma once

#include "reports/html.h"
#include "reports/json_writing.h"

namespace sbp::reports {

// A list of objects as columns, where that is smaller; anything else with such lists inside.
// {"~rows": N, "columns": [{"key": NAME or [NAME, NAME...], "values": [...]}]}; a column has "at"
// (rows) when not every row has the key, and "words" when its values are places in that list.
Json compacted(const Json& value);

// A report's own JSON without what the page does not draw, compacted.
Json page_data(const AnyReport& report);

// Adds to a sweep's page data what the page shows of single points, layer by layer: those of the
// Pareto fronts (bytes against cosine or accuracy), and at most 50 others, evenly chosen.
// "details": [{"id", "front", "layers", "memory"}]; "details_left_out": how many would have made
// the page too large.
void add_point_details(Json& page, const SweepReport& sweep, const PointLoader& load);

}  // namespace sbp::reports
