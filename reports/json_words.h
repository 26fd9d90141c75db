// Words that the writer and the reader of reports must agree on.
#pragma once

#include <string_view>

namespace sbp::reports {

inline constexpr std::string_view kSchemaName = "sbp-report";
inline constexpr std::string_view kTrainKind = "train";
inline constexpr std::string_view kProfileKind = "profile";
inline constexpr std::string_view kSweepKind = "sweep";
inline constexpr std::string_view kCorrelateKind = "correlate";
inline constexpr std::string_view kPredictionKind = "prediction";

// A null with one of these reasons stands for a number that JSON cannot write; the reader gives
// the number back.
inline constexpr std::string_view kNotANumber = "not a number";
inline constexpr std::string_view kInfinite = "infinite";
inline constexpr std::string_view kMinusInfinite = "minus infinite";

// NAME -> the key that says why NAME is null.
inline constexpr std::string_view kReasonSuffix = "_reason";

}  // namespace sbp::reports
