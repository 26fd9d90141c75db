#include "experiments/fidelity/exact_pass.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

namespace autograd = torch::autograd;

// The identity, which remembers the gradient that passes.
struct RecordedCrossing : autograd::Node {
  explicit RecordedCrossing(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&& gradients) override {
    crossing->gradient = gradients[0];
    return {gradients[0]};
  }
  std::string name() const override { return "RecordedCrossing"; }

  Crossing* crossing = nullptr;
};

// Passes on the exact gradient, whatever comes.
struct ReplacedCrossing : autograd::Node {
  explicit ReplacedCrossing(autograd::edge_list edges) : Node(std::move(edges)) {}

  autograd::variable_list apply(autograd::variable_list&&) override { return {gradient}; }
  std::string name() const override { return "ReplacedCrossing"; }

  at::Tensor gradient;
};

template <typename Node>
std::pair<at::Tensor, c10::intrusive_ptr<Node>> crossing_of(const at::Tensor& x,
                                                            const at::Tensor& value) {
  auto node = c10::make_intrusive<Node>(autograd::collect_next_edges(x));
  at::Tensor through = value.detach();
  autograd::set_history(through, node);
  return {through, node};
}

bool is_passed_by(const at::Tensor& x) {
  return c10::GradMode::is_enabled() && x.requires_grad();
}

}  // namespace

bool changes_weight_gradients_alone(const Plan& plan) {
  const auto is_of_an_input = [](const auto& code) {
    return code.first == SavedRole::linear_input || code.first == SavedRole::convolution_input;
  };
  const auto is_alone = [&](const PlanRow& row) {
    return !row.select && row.materialise == Materialise::store &&
           std::ranges::all_of(row.codes, [&](const auto& code) {
             return is_of_an_input(code) || code.first == SavedRole::nonlinearity_output;
           });
  };
  return plan.forward_exact && std::ranges::all_of(plan.rows, is_alone) &&
         std::ranges::any_of(plan.rows, [&](const PlanRow& row) {
           return std::ranges::any_of(row.codes, is_of_an_input);
         });
}

Candidate candidate_of(const Plan& plan, const CodecTable& codecs, std::size_t draws) {
  Candidate candidate{.codecs = {}, .draws = draws};
  for (std::size_t site = 0; site < plan.rows.size(); ++site) {
    for (const auto& [role, spec] : plan.rows[site].codes) {
      if (role == SavedRole::nonlinearity_output) continue;  // exact
      candidate.codecs[static_cast<SiteId>(site)] = codecs.at(to_string(spec));
    }
  }
  return candidate;
}

ExactPass::ExactPass(const Model& model, const std::vector<Candidate>& candidates,
                     ExactPassOptions options)
    : candidates_(candidates), options_(std::move(options)), scores_(candidates.size()) {
  for (auto& of_candidate : scores_) of_candidate.resize(model.parameters().size());
  for (std::size_t i = 0; i < model.parameters().size(); ++i) {
    parameter_of_[model.parameters()[i].value.unsafeGetTensorImpl()] = i;
  }
}

at::Tensor ExactPass::crossed(SiteId site, Side side, const at::Tensor& x) {
  if (!options_.keep_crossings || !is_passed_by(x)) return x;
  Crossing& crossing = crossings_[{site, side}];
  auto [through, node] = crossing_of<RecordedCrossing>(x, x);
  crossing.value = through.detach();
  node->crossing = &crossing;  // entries of a map stay where they are
  return through;
}

void ExactPass::used(const WeightUse& use) {
  const bool wanted = std::ranges::any_of(
      candidates_, [&](const Candidate& candidate) { return candidate.codecs.contains(use.site); });
  const auto found = parameter_of_.find(use.weight.unsafeGetTensorImpl());
  if (!wanted || found == parameter_of_.end()) return;
  Pending pending{.use = use, .parameter = found->second, .sharers = sharers_of(use)};
  pending.use.input = use.input.detach();
  pending.use.output = at::Tensor();  // or it would hold the graph that holds it
  use.output.register_hook(
      [this, pending](const at::Tensor& gradient) { score(pending, gradient); });
}

std::vector<SiteId> ExactPass::sharers_of(const WeightUse& use) {
  const at::Tensor& input = use.input;
  std::vector<SiteId> sharers;
  for (const Input& seen : inputs_) {
    if (!seen.storage.expired() &&
        seen.storage._unsafe_get_target() == input.storage().unsafeGetStorageImpl() &&
        seen.version == input._version() && seen.offset == input.storage_offset() &&
        input.sizes() == seen.sizes && input.strides() == seen.strides) {
      sharers.push_back(seen.site);
    }
  }
  inputs_.push_back({.storage = input.storage().getWeakStorageImpl(),
                     .version = input._version(),
                     .offset = input.storage_offset(),
                     .sizes = input.sizes().vec(),
                     .strides = input.strides().vec(),
                     .site = use.site});
  return sharers;
}

void ExactPass::score(const Pending& pending, const at::Tensor& output_gradient) {
  const c10::NoGradGuard no_grad;
  const WeightUse& use = pending.use;
  const std::size_t parameter = pending.parameter;
  const at::Tensor g = use.gradient(use.input, output_gradient).to(at::kFloat);
  const UpdateRule* updates = options_.updates;
  const at::Tensor exact_update = updates ? updates->update(parameter, g) : at::Tensor();
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const auto codec = candidates_[i].codecs.find(use.site);
    if (codec == candidates_[i].codecs.end()) continue;
    if (scores_[i][parameter]) throw Error("a weight that is used twice cannot be scored at once");
    const auto first = std::ranges::find_if(pending.sharers, [&](SiteId site) {
      const auto other = candidates_[i].codecs.find(site);
      return other != candidates_[i].codecs.end() && other->second == codec->second;
    });
    const SiteId keyed = first == pending.sharers.end() ? use.site : *first;
    ParameterScorer scorer;
    for (std::size_t draw = 0; draw < candidates_[i].draws; ++draw) {
      SavedCode code;
      code.keep(use.input, {.codec = codec->second,
                            .key = {.seed = options_.seed,
                                    .step = options_.mask_steps.at(draw),
                                    .site = static_cast<std::uint32_t>(keyed),
                                    .purpose = Purpose::sampling}});
      const at::Tensor h = use.gradient(code.decode(), output_gradient).to(at::kFloat);
      scorer.add(h, g);
      if (updates) scorer.add_update(updates->update(parameter, h), exact_update);
    }
    scores_[i][parameter] = std::move(scorer).finish(g);
  }
}

at::Tensor ExactSurroundings::crossed(SiteId site, Side side, const at::Tensor& x) {
  if (!is_passed_by(x)) return x;
  const auto found = crossings_.find({site, side});
  if (found == crossings_.end() || found->second.value.sizes() != x.sizes()) {
    throw Error("a pass in exact surroundings crosses a site that the exact pass did not");
  }
  auto [through, node] = crossing_of<ReplacedCrossing>(x, found->second.value);
  node->gradient = found->second.gradient;
  return through;
}

Plan without_departures(Plan plan) {
  for (PlanRow& row : plan.rows) {
    row.departs = false;
    if (row.select) row.select->departed = false;
  }
  return plan;
}

}  // namespace sbp::experiments
