#include "dropit/code_size.h"

#include <algorithm>

#include "sbp/base/error.h"

namespace sbp::dropit {

std::int64_t index_bytes(IndexForm form, std::int64_t numel, std::int64_t kept) {
  switch (form) {
    case IndexForm::int64: return 8 * kept;
    case IndexForm::int32: return 4 * kept;
    case IndexForm::mask: return (numel + 7) / 8;
    case IndexForm::block: return kept + 2 * ((numel + kBlock - 1) / kBlock);
    case IndexForm::seed: return 0;
  }
  return 0;
}

double index_bytes_an_element(IndexForm form, double part) {
  switch (form) {
    case IndexForm::int64: return 8.0 * part;
    case IndexForm::int32: return 4.0 * part;
    case IndexForm::mask: return 1.0 / 8.0;
    case IndexForm::block: return part + 2.0 / static_cast<double>(kBlock);
    case IndexForm::seed: return 0.0;
  }
  return 0.0;
}

IndexForm cheapest_index(const KeepRule& rule) {
  if (rule.selection == Selection::random) return IndexForm::seed;
  const double part = 1.0 - rule.gamma;
  return std::ranges::min({IndexForm::mask, IndexForm::block, IndexForm::int32}, {},
                          [part](IndexForm form) { return index_bytes_an_element(form, part); });
}

std::string size_warning(const std::string& subject, const KeepRule& rule, int value_bytes) {
  const double part = 1.0 - rule.gamma;
  const double values = part * value_bytes;
  const double index = index_bytes_an_element(rule.index, part);
  // Figures a rounding error apart are the same.
  if (values + index < value_bytes * (1.0 - 1e-9)) return {};
  return concat(subject, " saves nothing: at gamma=", rule.gamma, " it stores ", values,
                " bytes of values and ", index, " of ", to_string(rule.index),
                " index an element, of ", value_bytes, "; use a larger gamma or index=auto");
}

}  // namespace sbp::dropit
