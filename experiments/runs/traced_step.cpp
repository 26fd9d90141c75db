#include "experiments/runs/traced_step.h"

#include "experiments/data/loader.h"
#include "profiler/torch/tracer.h"

namespace sbp::experiments {
namespace {

using profiler::Category;

void tag_gradients(profiler::Tracer& tracer, const Model& model) {
  for (const Parameter& parameter : model.parameters()) {
    tracer.tag(parameter.value.grad(), Category::gradient, parameter.layer);
  }
}

void tag_weight_copies(profiler::Tracer& tracer, const Model& model, const Trainer& trainer) {
  for (const Parameter& parameter : model.parameters()) {
    tracer.tag(trainer.weight_copy(parameter.value), Category::weight_copy, parameter.layer);
  }
}

void tag_state(profiler::Tracer& tracer, const Optimizer& optimizer) {
  optimizer.for_each_state(
      [&](const std::string&, const at::Tensor& state, const Parameter& owner) {
        tracer.tag(state, Category::optimizer_state, owner.layer);
      });
}

}  // namespace

TracedStep traced_step(Trainer& trainer, const Model& model, const Optimizer& optimizer,
                       const DeviceId& device, const NextBatch& next, std::int64_t step,
                       double learning_rate, const profiler::LedgerOptions& ledger) {
  profiler::Tracer tracer({.device = device}, model.sites().layers());
  // What older steps left behind, then what this step makes.
  for (const Parameter& parameter : model.parameters()) {
    tracer.tag(parameter.value, Category::parameter, parameter.layer);
  }
  for (const Buffer& buffer : model.buffers()) {
    tracer.tag(buffer.value, Category::buffer, buffer.layer);
  }
  if (const ModelAverage* average = trainer.average()) {
    average->for_each([&](const std::string&, const at::Tensor& value, LayerId layer) {
      tracer.tag(value, Category::average, layer);
    });
  }
  tag_gradients(tracer, model);
  tag_state(tracer, optimizer);
  StepHooks hooks;
  hooks.batch_ready = [&](const at::Tensor& images, const at::Tensor& targets) {
    tracer.tag(images, Category::input);
    tracer.tag(targets, Category::input);
  };
  hooks.phase = [&](Phase phase) { tracer.enter(phase); };
  hooks.forward_ended = [&] { tag_weight_copies(tracer, model, trainer); };
  hooks.gradients_ready = [&] { tag_gradients(tracer, model); };
  hooks.updated = [&] { tag_state(tracer, optimizer); };
  TracedStep traced;
  traced.result = trainer.step(next, step, learning_rate, hooks);
  traced.memory = profiler::analyse(tracer.stop(), ledger);
  return traced;
}

profiler::MemoryProfile dry_step(const ResolvedRun& run) {
  ResolvedRun dry = run;
  dry.device = {DeviceId::Kind::meta};
  const std::unique_ptr<Model> model = make_model(dry);
  const Plan plan = make_plan(dry, *model);
  KeyedMaskSource masks(dry.options.seed);
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(dry.optimizer, model->parameters());
  Trainer trainer(*model, plan, masks, *optimizer, trainer_options(dry));
  const Batch batch = batch_without_values(dry);
  const NextBatch same = [&batch](std::int64_t) -> const Batch& { return batch; };
  for (int step = 0; step < 2; ++step) trainer.step(batch, step, 0.0);
  return traced_step(trainer, *model, *optimizer, dry.device, same, 2, 0.0).memory;
}

reports::MemorySummary summarise(const profiler::MemoryProfile& memory) {
  reports::MemorySummary summary;
  summary.peak_bytes = memory.peak.bytes;
  summary.peak_phase = to_string(memory.peak.phase);
  summary.transient_peak_bytes = memory.transient_peak_bytes;
  summary.saved = memory.saved;
  summary.categories_at_peak = memory.categories_at_peak;
  summary.ledger = memory.ledger;
  return summary;
}

}  // namespace sbp::experiments
