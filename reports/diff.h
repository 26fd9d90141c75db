// The difference of two reports of one kind, aligned by what they are made of.
#pragma once

#include <string>

#include "reports/documents.h"
#include "reports/text.h"

namespace sbp::reports {

// Totals, then parts: of profiles categories, phases and layers by the size of the change; of
// training runs epochs; of sbp-correlate strategies and layers; of sweeps points, aligned by axes.
// What is on one side only is said to be so. Throws Error when nothing can be compared (other
// kinds, other models), naming both; differences of batch, data, precision, device, optimizer or
// program are said at the top and compared all the same.
Document difference_of(const ProfileReport& before, const ProfileReport& after);
Document difference_of(const TrainReport& before, const TrainReport& after);
Document difference_of(const CorrelateReport& before, const CorrelateReport& after);
Document difference_of(const PredictionReport& before, const PredictionReport& after);
Document difference_of(const SweepReport& before, const SweepReport& after);
Document difference_of(const NamedReport& before, const NamedReport& after);

std::string diff_text(const ProfileReport& before, const ProfileReport& after,
                      const TextOptions& options = {});

}  // namespace sbp::reports
