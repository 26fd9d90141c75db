// Student's t distribution: how far from the mean of few samples the true mean may lie.
#pragma once

#include <cstdint>

namespace sbp::reports {

// P(|T| <= t) with so many degrees of freedom. REQUIRES degrees > 0, t >= 0.
double student_probability(double t, std::int64_t degrees);

// The t with P(|T| <= t) = probability: 12.706 for 0.95 and 1 degree, 1.96 for very many.
// REQUIRES degrees > 0, 0 < probability < 1.
double student_quantile(double probability, std::int64_t degrees);

}  // namespace sbp::reports
