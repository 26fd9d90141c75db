#include <doctest/doctest.h>

#include <initializer_list>

#include "reports/student.h"

using sbp::reports::student_probability;
using sbp::reports::student_quantile;

TEST_CASE("quantiles of Student's t are those of the tables") {
  struct Known {
    double probability;
    std::int64_t degrees;
    double t;
  };
  for (const auto& [probability, degrees, t] :
       {Known{0.95, 1, 12.706204736432095}, Known{0.95, 2, 4.302652729749462},
        Known{0.95, 3, 3.182446305284263}, Known{0.95, 4, 2.7764451051977987},
        Known{0.95, 9, 2.262157162740992}, Known{0.95, 30, 2.0422724563012373},
        Known{0.95, 120, 1.9799304050824413}, Known{0.99, 5, 4.032142983557536},
        Known{0.90, 2, 2.919985580353726}, Known{0.50, 1, 1.0}}) {
    CAPTURE(degrees);
    CHECK(student_quantile(probability, degrees) == doctest::Approx(t).epsilon(1e-10));
    CHECK(student_probability(t, degrees) == doctest::Approx(probability).epsilon(1e-10));
  }
  // The normal distribution's, nearly.
  CHECK(student_quantile(0.95, 1'000'000'000) == doctest::Approx(1.9600).epsilon(2e-4));
}
