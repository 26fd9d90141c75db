// The plan: one row a site, saying what carries gradient (select), what is stored or recomputed
// (materialise) and how each saved role is coded (code). LibTorch-free; composition, formulas,
// --print-plan and reports all read this one table.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sbp/base/spec.h"
#include "sbp/mask.h"
#include "sbp/site.h"

namespace sbp {

// A tensor that a site saves for its backward.
enum class SavedRole : std::uint8_t {
  linear_input,
  convolution_input,
  query,
  key,
  value,
  attention_map,
  nonlinearity_input,
  nonlinearity_output,  // of ReLU, whose gradient needs its signs alone
  norm_input,
};
std::string_view to_string(SavedRole role);

// Sites of one group share a mask (and so a keep ratio), drawn on the group's grid: that of its
// coarsest site.
struct MaskGroup {
  std::string name;
  MaskKind kind = MaskKind::grid;
  double keep_ratio = 1.0;  // asked; in (0, 1)
  RowGeometry geometry;
};

// Only rows that the group's mask keeps carry gradient through the site; every row keeps its
// value. Attention: query rows; keys and values keep the gradient of all rows.
struct RowSelection {
  std::int32_t group = -1;  // index into Plan::groups
  std::int64_t factor = 1;  // the site's grid is so many times as fine as the group's, per side
};

// Rows of a site where `group_rows` of the group's grid are kept (a mean over steps, or a count).
double site_rows(const RowSelection& selection, const MaskGroup& group, double group_rows);

enum class Materialise : std::uint8_t {
  store,
  recompute,  // keep the site's input rows only and run the site again in backward
};

struct PlanRow {
  std::optional<RowSelection> select;
  Materialise materialise = Materialise::store;
  std::map<SavedRole, Spec> codes;  // absent role: kept exact

  std::string note;  // why a strategy left this site alone; empty: nothing to say

  // Who claimed: "select", "materialise" or "code:ROLE" -> resolved spec.
  std::map<std::string, std::string> claimed_by;
};

struct Plan {
  std::string strategy;       // the resolved specs, joined by '+'
  std::vector<PlanRow> rows;  // index = SiteId
  std::vector<MaskGroup> groups;
  bool forward_exact = true;          // the forward value is the full model's
  bool masks_in_evaluation = false;   // otherwise evaluation takes the plain path
  std::vector<std::string> warnings;  // sentences for the report

  const PlanRow& operator[](SiteId site) const { return rows.at(static_cast<std::size_t>(site)); }
};

// Collects what strategies claim. A second claim on one (site, column) or (site, role) throws
// UsageError naming both.
class PlanBuilder {
 public:
  explicit PlanBuilder(const SiteTable& sites);

  // Specs that follow are claimed for `spec`.
  void begin(const Spec& spec);
  // A name that another group has is made unique.
  std::int32_t add_group(MaskGroup group);
  void select(SiteId site, RowSelection selection);
  void materialise(SiteId site, Materialise how);
  void code(SiteId site, SavedRole role, Spec codec);
  // Says in the plan why the strategy leaves a site alone.
  void note(SiteId site, std::string why);
  void warn(std::string warning);

  const SiteTable& sites() const { return sites_; }
  Plan finish() &&;

 private:
  PlanRow& claim(SiteId site, const std::string& column);

  const SiteTable& sites_;
  Plan plan_;
  std::string claimant_;
};

// One registered strategy: its spelling, and what it claims of a model's sites.
struct Strategy {
  SpecSchema schema;
  // Throws UsageError where the model has no site for it, naming what the model has.
  void (*claim)(const Spec& spec, PlanBuilder& plan) = nullptr;
};

// Resolves a strategy text ("sbp:keep=0.5+quant:bits=4") against a model's sites.
Plan resolve(std::string_view text, const SiteTable& sites, std::span<const Strategy> registered);

// The plan that drops, recomputes and codes nothing.
Plan full_plan(const SiteTable& sites);

}  // namespace sbp
