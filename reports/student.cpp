#include "reports/student.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sbp::reports {
namespace {

// Beyond this many degrees the quantile changes in the fifth digit only.
constexpr std::int64_t kMostDegrees = 10'000;

// The same for t = sqrt(degrees) tan(angle). For a whole number of degrees the integral of the
// density is a finite sum of powers of the cosine.
double probability_of_angle(double angle, std::int64_t degrees) {
  const double cosine = std::cos(angle);
  const double squared = cosine * cosine;
  const bool odd = degrees % 2 != 0;
  double term = odd ? cosine : 1.0;
  double sum = 0.0;
  // Powers up to degrees - 2, each with the product of i / (i + 1) before it.
  for (std::int64_t power = odd ? 1 : 0; power <= degrees - 2; power += 2) {
    sum += term;
    term *= squared * static_cast<double>(power + 1) / static_cast<double>(power + 2);
  }
  const double series = std::sin(angle) * sum;
  return odd ? 2.0 / std::numbers::pi * (angle + series) : series;
}

}  // namespace

double student_probability(double t, std::int64_t degrees) {
  const std::int64_t known = std::min(degrees, kMostDegrees);
  return probability_of_angle(std::atan(t / std::sqrt(static_cast<double>(known))), known);
}

double student_quantile(double probability, std::int64_t degrees) {
  const std::int64_t known = std::min(degrees, kMostDegrees);
  double low = 0.0, high = std::numbers::pi / 2;
  // Halving the interval until no double lies between.
  for (double middle = (low + high) / 2; middle > low && middle < high; middle = (low + high) / 2) {
    (probability_of_angle(middle, known) < probability ? low : high) = middle;
  }
  return std::sqrt(static_cast<double>(known)) * std::tan(low);
}

}  // namespace sbp::reports
