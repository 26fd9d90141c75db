#include "experiments/runs/traced_step.h"

#include "experiments/runs/dry_trainer.h"
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

// What older steps left behind.
void tag_all(profiler::Tracer& tracer, const Model& model, const Trainer& trainer,
             const Optimizer& optimizer) {
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
}

// Tags what a step makes.
StepHooks tagging_hooks(profiler::Tracer& tracer, const Model& model, const Trainer& trainer,
                        const Optimizer& optimizer) {
  StepHooks hooks;
  hooks.batch_ready = [&](const at::Tensor& images, const at::Tensor& targets) {
    tracer.tag(images, Category::input);
    tracer.tag(targets, Category::input);
  };
  hooks.phase = [&](Phase phase) { tracer.enter(phase); };
  hooks.forward_ended = [&] { tag_weight_copies(tracer, model, trainer); };
  hooks.gradients_ready = [&] { tag_gradients(tracer, model); };
  hooks.updated = [&] { tag_state(tracer, optimizer); };
  return hooks;
}

}  // namespace

TracedStep traced_step(Trainer& trainer, const Model& model, const Optimizer& optimizer,
                       const DeviceId& device, const NextBatch& next, std::int64_t step,
                       double learning_rate, const profiler::LedgerOptions& ledger) {
  profiler::Tracer tracer({.device = device}, model.sites().layers());
  tag_all(tracer, model, trainer, optimizer);
  const StepHooks hooks = tagging_hooks(tracer, model, trainer, optimizer);
  TracedStep traced;
  traced.result = trainer.step(next, step, learning_rate, hooks);
  traced.memory = profiler::analyse(tracer.stop(), ledger);
  return traced;
}

profiler::Trace traced_dry_steps(DryTrainer& dry, std::int64_t count,
                                 const std::function<void()>& before_batch) {
  Trainer& trainer = dry.trainer();
  profiler::Tracer tracer({.device = {DeviceId::Kind::meta}}, dry.model().sites().layers());
  tag_all(tracer, dry.model(), trainer, dry.optimizer());
  const StepHooks hooks = tagging_hooks(tracer, dry.model(), trainer, dry.optimizer());
  const NextBatch next = [&](std::int64_t) -> const Batch& {
    before_batch();
    return dry.batch();
  };
  for (std::int64_t step = 0; step < count && tracer.dropped_records() == 0; ++step) {
    tracer.enter(Phase::setup);
    trainer.step(next, step, 0.0, hooks);
  }
  return tracer.stop();
}

profiler::MemoryProfile dry_step(const ResolvedRun& run) {
  DryTrainer dry(run, {});
  const NextBatch same = [&dry](std::int64_t) -> const Batch& { return dry.batch(); };
  return traced_step(dry.trainer(), dry.model(), dry.optimizer(), {DeviceId::Kind::meta}, same, 2,
                     0.0)
      .memory;
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
