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
// coarsest site. A group of heads is a row of cells, one a head.
struct MaskGroup {
  std::string name;
  MaskKind kind = MaskKind::grid;
  double keep_ratio = 1.0;  // asked; in (0, 1)
  RowGeometry geometry;
  std::int64_t start = -1;  // of a grid mask; -1: drawn each step
  bool per_sample = false;  // each sample of a batch has a mask of its own
  double weight = 1.0;      // factor of the gradient of kept cells
};

// How an attention site drops. Queries, keys and values are those of rows.
enum class AttentionPath : std::uint8_t {
  query,      // kept queries carry gradient, to the keys and values of all rows; value exact
  qkv_exact,  // kept queries carry gradient, to kept keys and values; value exact
  qkv,        // kept queries attend to kept keys only: their value changes. Dropped ones see all
  head,       // the mask is over heads: kept heads carry gradient for all rows; value exact
};
AttentionPath parse_attention_path(std::string_view word);

// Only rows that the group's mask keeps carry gradient through the site; every row keeps its
// value, unless `path` says otherwise.
struct RowSelection {
  std::int32_t group = -1;  // index into Plan::groups
  std::int64_t factor = 1;  // the site's grid is so many times as fine as the group's, per side
  AttentionPath path = AttentionPath::query;  // of an attention site
  // Of an attention site whose path is qkv: norm and projection before it keep all rows.
  bool whole_inputs = false;
  // The dropped rows left the sequence at an earlier site (PlanRow::departs): all that arrive are
  // kept.
  bool departed = false;

  bool of_heads() const { return path == AttentionPath::head; }
};

// Rows of a site where `group_rows` of the group's grid are kept (a mean over steps, or a count).
double site_rows(const RowSelection& selection, const MaskGroup& group, double group_rows);

enum class Materialise : std::uint8_t {
  store,
  recompute,  // keep the site's input rows only and run the site again in backward
  function,   // an MLP as one node: one forward of all rows, what kept rows need is kept
};
std::string_view to_string(Materialise how);

struct PlanRow {
  std::optional<RowSelection> select;
  bool departs = false;  // rows that `select` drops leave the sequence here for good
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
  std::vector<std::string> warnings;  // what a user should know of this plan, a sentence each

  const PlanRow& operator[](SiteId site) const { return rows.at(static_cast<std::size_t>(site)); }
};

// The site that runs again in backward with `site` in it; -1: none does.
SiteId run_again_with(const SiteTable& sites, const Plan& plan, SiteId site);

// What to ask a mask source of a group; its step and sample are the caller's to fill in.
MaskRequest mask_request(const Plan& plan, std::int32_t group);

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
  // From the residual site on, rows that `selection` drops leave the sequence, unless a later site
  // selects by another mask, which needs them.
  void prefer_departure(SiteId residual, RowSelection selection);
  void materialise(SiteId site, Materialise how);
  // An MLP that nobody else materialises, and none of whose parts is coded, runs as one node.
  void prefer_function(SiteId site);
  void change_forward() { plan_.forward_exact = false; }
  void mask_in_evaluation() { plan_.masks_in_evaluation = true; }
  void warn(std::string sentence) { plan_.warnings.push_back(std::move(sentence)); }
  void code(SiteId site, SavedRole role, Spec codec);
  // Says in the plan why the strategy leaves a site alone.
  void note(SiteId site, std::string why);

  const SiteTable& sites() const { return sites_; }
  Plan finish() &&;

 private:
  PlanRow& claim(SiteId site, const std::string& column);
  bool may_be_function(SiteId site) const;
  // Throws UsageError for a code inside of what runs as one node.
  void check_codes(SiteId site) const;
  void settle_departure(SiteId residual, RowSelection selection);
  void uncode(SiteId site, std::string why);
  void settle_recomputed();
  // The result of `producer` is kept in full by `holder`.
  void uncode_result(SiteId producer, SiteId holder);
  void settle_functions();

  const SiteTable& sites_;
  Plan plan_;
  std::string claimant_;
  std::vector<SiteId> functions_;                            // preferred
  std::vector<std::pair<SiteId, RowSelection>> departures_;  // the same
};

// One registered strategy: its spelling, and what it claims of a model's sites.
struct Strategy {
  SpecSchema schema;
  // Fills in what depends on other keys, so that the resolved spec says all; may be empty.
  void (*settle)(Spec& spec) = nullptr;
  // Throws UsageError where the model has no site for it, naming what the model has.
  void (*claim)(const Spec& spec, PlanBuilder& plan) = nullptr;
};

// Resolves a strategy text ("sbp:keep=0.5+quant:bits=4") against a model's sites.
Plan resolve(std::string_view text, const SiteTable& sites, std::span<const Strategy> registered);

// The plan that drops, recomputes and codes nothing.
Plan full_plan(const SiteTable& sites);

}  // namespace sbp
