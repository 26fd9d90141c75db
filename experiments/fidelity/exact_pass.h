// Looks into the exact pass of a batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "experiments/fidelity/gradient_score.h"
#include "experiments/fidelity/update_rule.h"
#include "experiments/models/model.h"
#include "sbp/plan.h"
#include "sbp/saved.h"
#include "sbp/step_observer.h"

namespace sbp::experiments {

// A tensor on the trunk between blocks, and its exact gradient.
struct Crossing {
  at::Tensor value;
  at::Tensor gradient;
};
using Crossings = std::map<std::pair<SiteId, StepObserver::Side>, Crossing>;

// A strategy that changes weight gradients alone: every site gets its exact input and the exact
// gradient of its output, so each layer's error depends on that layer's code only, and one exact
// pass scores them all.
struct Candidate {
  std::map<SiteId, std::shared_ptr<const SavedCodec>> codecs;
  std::size_t draws = 1;
};

// Whether all that the plan does is to code inputs of linears and convolutions (and, exactly,
// results of ReLU).
bool changes_weight_gradients_alone(const Plan& plan);
// Of such a plan.
Candidate candidate_of(const Plan& plan, const CodecTable& codecs, std::size_t draws);

struct ExactPassOptions {
  std::uint64_t seed = 0;
  std::vector<std::uint32_t> mask_steps = {};  // what the draws are keyed by, as in a run
  bool keep_crossings = false;
  const UpdateRule* updates = nullptr;  // null: updates are not scored
};

class ExactPass : public StepObserver {
 public:
  // All must outlive the pass.
  ExactPass(const Model& model, const std::vector<Candidate>& candidates, ExactPassOptions options);

  at::Tensor crossed(SiteId site, Side side, const at::Tensor& x) override;
  void used(const WeightUse& use) override;

  // [candidate][parameter] after the backward pass; absent: the candidate leaves it exact.
  std::vector<std::vector<std::optional<ParameterScore>>> take_scores() {
    return std::move(scores_);
  }
  Crossings take_crossings() { return std::move(crossings_); }

 private:
  // A tensor that some layer takes as its input.
  struct Input {
    c10::weak_intrusive_ptr<c10::StorageImpl> storage;
    std::int64_t version = 0;
    std::int64_t offset = 0;
    std::vector<std::int64_t> sizes, strides;
    SiteId site = -1;
  };
  // A use of a weight, until its output's gradient comes.
  struct Pending {
    WeightUse use;
    std::size_t parameter = 0;
    // Earlier sites of the same input, in forward order: in a run they share one code of it, which
    // is keyed by the first of those that are coded alike.
    std::vector<SiteId> sharers;
  };

  std::vector<SiteId> sharers_of(const WeightUse& use);
  void score(const Pending& pending, const at::Tensor& output_gradient);

  const std::vector<Candidate>& candidates_;
  ExactPassOptions options_;
  std::map<const void*, std::size_t> parameter_of_;  // by the weight's implementation
  std::vector<std::vector<std::optional<ParameterScore>>> scores_;
  std::vector<Input> inputs_;  // seen so far; none is held alive
  Crossings crossings_;
};

// Puts every site among exact surroundings: its input has the exact value, its output the exact
// gradient. A weight gradient then shows what its own site drops (the paper's dW_keep, In-depth
// SBP, 2022, section 3) and nothing of the others.
class ExactSurroundings : public StepObserver {
 public:
  explicit ExactSurroundings(const Crossings& crossings) : crossings_(crossings) {}
  at::Tensor crossed(SiteId site, Side side, const at::Tensor& x) override;

 private:
  const Crossings& crossings_;
};

// The plan whose dropped rows stay in the sequence: in exact surroundings every site gets them all.
Plan without_departures(Plan plan);

}  // namespace sbp::experiments
