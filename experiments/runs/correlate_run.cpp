#include "experiments/runs/correlate_run.h"

#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>

#include "experiments/codecs.h"
#include "experiments/data/loader.h"
#include "experiments/fidelity/exact_pass.h"
#include "experiments/fidelity/fidelity_tally.h"
#include "experiments/runs/plan_report.h"
#include "experiments/runs/run_setup.h"
#include "experiments/runs/traced_step.h"
#include "experiments/runs/train_tally.h"
#include "experiments/training/checkpoint.h"
#include "experiments/training/checkpoint_folder.h"
#include "experiments/training/initial_weights.h"
#include "experiments/training/precision_spec.h"
#include "reports/sections.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr std::int64_t kDefaultSteps = 50;
// The order of the data that fixed batches are taken from: the same ones at every state.
constexpr std::int64_t kFixedEpoch = std::int64_t{1} << 20;

// The first `count` samples.
Batch first_samples(const Batch& batch, std::int64_t count) {
  const auto part = [&](const auto& values) {
    const auto of_one = std::ssize(values) / batch.size;
    return std::remove_cvref_t<decltype(values)>(values.begin(), values.begin() + count * of_one);
  };
  Batch half = batch;
  half.images = part(batch.images);
  half.labels = part(batch.labels);
  half.targets = part(batch.targets);
  half.size = count;
  return half;
}

// One strategy, ready to give gradients.
struct Subject {
  Plan plan;
  Plan local_plan;
  std::unique_ptr<Trainer> trainer;
  std::unique_ptr<Trainer> local_trainer;
  bool drawn = false;
  std::optional<std::size_t> candidate;  // scored in the exact pass
};

bool draws(const Plan& plan, const CodecTable& codecs) {
  return std::ranges::any_of(plan.groups,
                             [](const MaskGroup& group) {
                               return group.kind != MaskKind::grid || group.start < 0;
                             }) ||
         std::ranges::any_of(codecs, [](const auto& codec) { return codec.second->draws(); });
}

// The loss of it.
double take_gradient(Trainer& trainer, const Batch& batch, const GradientOptions& options) {
  const StepResult result = trainer.gradient(batch, options);
  if (!result.problem.empty()) throw Error(concat("taking a gradient: ", result.problem));
  return result.loss;
}

// A batch at which gradients are compared.
struct FixedBatch {
  Batch batch;
  double loss = 0.0;
  std::vector<at::Tensor> gradients;  // index = parameter
  std::vector<at::Tensor> updates;
  Crossings crossings;
  std::vector<std::vector<std::optional<ParameterScore>>> scores;  // [candidate][parameter]
};

class CorrelateRun {
 public:
  CorrelateRun(const CorrelateOptions& options, const Progress& progress, const ResolvedRun& run)
      : options_(options),
        progress_(progress),
        run_(run),
        data_(open_data(run.data, run.geometry, run.options.seed)),
        loader_(*data_.train, data_,
                {.batch = run.options.batch,
                 .seed = run.options.seed,
                 .workers = run.options.workers,
                 .augment = run.augment}),
        model_(make_model(run)),
        masks_(run.options.seed),
        optimizer_(make_optimizer(run.optimizer, model_->parameters())),
        full_plan_(full_plan(model_->sites())),
        exact_(*model_, full_plan_, masks_, *optimizer_, trainer_options(run)),
        scopes_(scopes_of(*model_)) {
    // The variance over batches takes two, and so does the baseline of another batch.
    exact_batches_ = std::max<std::int64_t>(options.batches, 2);
    if (loader_.batches_per_epoch() < exact_batches_) {
      throw too_few_batches(run, exact_batches_, data_.train->size());
    }
  }

  reports::CorrelateReport run() {
    for (const std::string& spec : options_.strategies) add_subject(spec);
    begin_report();
    reach_state();
    start_ = std::chrono::steady_clock::now();
    // Clipping looks at all gradients together; an update of one parameter does not know them.
    if (run_.options.clip_norm == 0.0) updates_.emplace(run_.optimizer, *model_, *optimizer_);
    take_exact();
    add_baselines();
    for (std::size_t i = 0; i < subjects_.size() && !interrupted(); ++i) add_strategy(i);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    report_.seconds = elapsed.count();
    if (report_.interrupted) {
      warn(concat("interrupted: ", report_.strategies.size(), " of ", subjects_.size(),
                  " strategies were compared"));
    }
    for (const std::string& warning : data_.warnings) warn(warning);
    return std::move(report_);
  }

 private:
  void add_subject(const std::string& spec) {
    ResolvedRun own = run_;
    own.options.strategy = spec;
    Subject subject;
    subject.plan = make_plan(own, *model_);
    const CodecTable codecs = codecs_of(subject.plan);
    subject.drawn = draws(subject.plan, codecs);
    if (changes_weight_gradients_alone(subject.plan)) {
      subject.candidate = candidates_.size();
      candidates_.push_back(candidate_of(subject.plan, codecs, draw_count(subject)));
    }
    subject.local_plan = without_departures(subject.plan);
    const auto twin = std::ranges::find_if(subjects_, [&](const Subject& other) {
      return other.plan.strategy == subject.plan.strategy;
    });
    if (twin != subjects_.end()) {
      throw UsageError(concat(
          "strategies '", options_.strategies[static_cast<std::size_t>(twin - subjects_.begin())],
          "' and '", spec, "' are one; leave one of them out"));
    }
    subjects_.push_back(std::move(subject));
  }

  std::size_t draw_count(const Subject& subject) const {
    return subject.drawn ? static_cast<std::size_t>(options_.masks) : 1;
  }

  void begin_report() {
    report_.header = make_header(run_, full_plan_);
    auto& configuration = report_.header.configuration;
    std::vector<std::string> specs;
    for (const Subject& subject : subjects_) specs.push_back(subject.plan.strategy);
    for (auto& [key, value] : configuration) {
      if (key != "strategy") continue;
      key = "strategies";
      value = join(specs, " | ");
    }
    configuration.emplace_back("at", steps_before(options_));
    configuration.emplace_back("batches", options_.batches);
    configuration.emplace_back("masks", options_.masks);
    configuration.emplace_back("local", options_.local);
    if (!options_.init.empty()) configuration.emplace_back("init", options_.init);
    if (!options_.checkpoint.empty()) configuration.emplace_back("checkpoint", options_.checkpoint);
    configuration.emplace_back("train_samples", data_.train->size());
    report_.model = model_facts(run_, *model_);
    report_.batches = options_.batches;
    std::size_t passes = static_cast<std::size_t>(steps_before(options_) + exact_batches_);
    for (const Subject& subject : subjects_) {
      if (subject.candidate) continue;
      passes += static_cast<std::size_t>(options_.batches) * draw_count(subject) *
                (options_.local ? 2 : 1);
    }
    total_ = static_cast<std::int64_t>(passes);
  }

  // ---- the state of training

  void reach_state() {
    reports::TrainingState& state = report_.state;
    state.source = "trained here";
    if (!options_.init.empty()) {
      state.source = options_.init;
      for (const auto& warning : load_initial_weights(options_.init, *model_).warnings) {
        warn(warning);
      }
    }
    if (!options_.checkpoint.empty()) load_checkpoint(state);
    train(steps_before(options_));
    state.steps += steps_before(options_);
  }

  void load_checkpoint(reports::TrainingState& state) {
    const std::string& folder = options_.checkpoint;
    const reports::Checkpoint checkpoint = read_checkpoint(folder);
    const reports::Header& before = checkpoint.report.header;
    for (const char* key : {"model", "optimizer", "precision"}) {
      const std::string theirs = reports::configured(before, key),
                        ours = reports::configured(report_.header, key);
      if (theirs == ours) continue;
      throw UsageError(concat("the checkpoint in '", folder, "' is of ", key, " '", theirs,
                              "', not '", ours, "'; give --", key, " as that run did"));
    }
    const SafetensorsFile tensors = open_tensors(folder, checkpoint);
    read_weights(tensors, folder, *model_, {});
    read_optimizer(tensors, checkpoint.step, *optimizer_);
    state.source = folder;
    state.steps = checkpoint.step;
    first_epoch_ = checkpoint.epoch;
  }

  // With the exact gradient, at the optimizer's own learning rate.
  void train(std::int64_t steps) {
    std::int64_t epoch = first_epoch_;
    if (steps > 0) loader_.start_epoch(epoch);
    for (std::int64_t step = 0; step < steps; ++step) {
      if (interrupted()) {
        throw Error("interrupted before any gradient was compared; nothing was written",
                    ExitCode::interrupted);
      }
      Batch batch;
      const NextBatch next = [&](std::int64_t) -> const Batch& {
        std::optional<Batch> read = loader_.next();
        if (!read) {
          loader_.start_epoch(++epoch);
          read = loader_.next();
        }
        batch = std::move(*read);
        return batch;
      };
      const StepResult result =
          exact_.step(next, report_.state.steps + step, optimizer_->learning_rate());
      if (!result.problem.empty()) {
        throw Error(concat("training diverged in step ", step + 1, ": ", result.problem,
                           "; use a lower learning rate"));
      }
      advance("training");
    }
  }

  // ---- the exact gradient

  std::uint32_t mask_step(std::size_t batch, std::size_t draw) const {
    const auto first = static_cast<std::size_t>(report_.state.steps);
    return static_cast<std::uint32_t>(first + batch * static_cast<std::size_t>(options_.masks) +
                                      draw);
  }

  GradientOptions keys(std::size_t batch, std::size_t draw, StepObserver* observer) const {
    return {.step = static_cast<std::uint32_t>(report_.state.steps),
            .mask_step = mask_step(batch, draw),
            .observer = observer};
  }

  std::vector<at::Tensor> gradients_now() const {
    std::vector<at::Tensor> gradients;
    for (const Parameter& parameter : model_->parameters()) {
      gradients.push_back(parameter.value.grad());
    }
    return gradients;
  }

  void take_exact() {
    loader_.start_epoch(kFixedEpoch);
    std::vector<RunningMean> means(model_->parameters().size());
    for (std::int64_t i = 0; i < exact_batches_; ++i) {
      std::optional<Batch> batch = loader_.next();
      if (!batch) throw Error("the training data ended before all batches were there");
      fixed_.push_back(exact_of(std::move(*batch), static_cast<std::size_t>(i)));
      for (std::size_t p = 0; p < means.size(); ++p) means[p].add(fixed_.back().gradients[p]);
      advance("exact gradient");
    }
    double variance = 0.0, norm = 0.0;
    for (std::size_t p = 0; p < means.size(); ++p) {
      variance_.push_back(means[p].scatter() / static_cast<double>(exact_batches_ - 1));
      variance += variance_.back();
      norm += compare(fixed_[0].gradients[p], fixed_[0].gradients[p]).gg;
    }
    report_.state.batch_variance = variance;
    report_.state.gradient_norm = std::sqrt(norm);
    for (std::int64_t i = 0; i < options_.batches; ++i) {
      report_.state.loss +=
          fixed_[static_cast<std::size_t>(i)].loss / static_cast<double>(options_.batches);
    }
  }

  FixedBatch exact_of(Batch batch, std::size_t index) {
    FixedBatch fixed;
    fixed.batch = std::move(batch);
    const bool compared = static_cast<std::int64_t>(index) < options_.batches;
    ExactPassOptions options;
    options.seed = run_.options.seed;
    options.keep_crossings = options_.local && compared;
    options.updates = updates_ ? &*updates_ : nullptr;
    for (std::int64_t draw = 0; draw < options_.masks; ++draw) {
      options.mask_steps.push_back(mask_step(index, static_cast<std::size_t>(draw)));
    }
    const std::vector<Candidate> none;
    ExactPass pass(*model_, compared ? candidates_ : none, std::move(options));
    fixed.loss = take_gradient(exact_, fixed.batch, keys(index, 0, &pass));
    fixed.gradients = gradients_now();
    for (std::size_t p = 0; p < fixed.gradients.size(); ++p) {
      at::Tensor& gradient = fixed.gradients[p];
      if (!gradient.defined()) gradient = at::zeros_like(model_->parameters()[p].value.detach());
      fixed.updates.push_back(updates_ ? updates_->update(p, gradient) : at::Tensor());
    }
    fixed.scores = pass.take_scores();
    fixed.crossings = pass.take_crossings();
    return fixed;
  }

  // ---- baselines

  // One mask of a gradient against batch `index`'s exact one.
  GradientScore score_of(const std::vector<at::Tensor>& gradients, std::size_t index) const {
    std::vector<ParameterScorer> scorers(gradients.size());
    add_draw(gradients, index, scorers);
    return finish(std::move(scorers), index);
  }

  void add_draw(const std::vector<at::Tensor>& gradients, std::size_t index,
                std::vector<ParameterScorer>& scorers) const {
    const FixedBatch& fixed = fixed_[index];
    for (std::size_t p = 0; p < scorers.size(); ++p) {
      scorers[p].add(gradients[p], fixed.gradients[p]);
      if (updates_) scorers[p].add_update(updates_->update(p, gradients[p]), fixed.updates[p]);
    }
  }

  GradientScore finish(std::vector<ParameterScorer> scorers, std::size_t index) const {
    GradientScore score;
    for (std::size_t p = 0; p < scorers.size(); ++p) {
      score.push_back(std::move(scorers[p]).finish(fixed_[index].gradients[p]));
    }
    return score;
  }

  void add_baselines() {
    FidelityTally half(scopes_, false), other(scopes_, false);
    const std::int64_t size = run_.options.batch / 2;
    for (std::size_t i = 0; i < static_cast<std::size_t>(options_.batches); ++i) {
      if (size > 0) {
        take_gradient(exact_, first_samples(fixed_[i].batch, size), keys(i, 0, nullptr));
        half.add(score_of(gradients_now(), i));
      }
      other.add(score_of(fixed_[(i + 1) % fixed_.size()].gradients, i));
    }
    if (size == 0) warn("a batch of 1 has no half: the baseline half_batch has no figures");
    for (const auto& [name, tally] : {std::pair{"half_batch", &half}, {"other_batch", &other}}) {
      report_.baselines.push_back({.name = name,
                                   .agreement = tally->overall(),
                                   .over_layers = tally->over_layers(),
                                   .update_cosine = tally->update_cosine()});
    }
  }

  // ---- strategies

  void add_strategy(std::size_t index) {
    Subject& subject = subjects_[index];
    FidelityTally tally(scopes_, subject.drawn);
    KeptRowTally rows;
    std::int64_t passes = 0;
    if (subject.candidate) {
      tally_scores(*subject.candidate, draw_count(subject), tally);
    } else {
      passes = tally_passes(subject, tally, rows);
    }
    if (report_.interrupted) return;
    const std::vector<double> kept = rows.means(passes);
    reports::StrategyFidelity result;
    result.name = options_.strategies[index];
    result.strategy = strategy_outcome(subject.plan, kept);
    result.scoring = subject.candidate ? reports::Scoring::one_pass : reports::Scoring::passes;
    result.agreement = tally.overall();
    result.over_layers = tally.over_layers();
    result.update_cosine = tally.update_cosine();
    result.noise = tally.noise(variance_, run_.options.batch);
    result.layers = tally.layers(variance_);
    result.parameters = tally.parameters();
    add_bytes(options_.strategies[index], result);
    for (const std::string& warning : plan_warnings(subject.plan, kept)) {
      warn(concat("'", result.name, "': ", warning));
    }
    if (subject.trainer) {
      for (const std::string& warning : subject.trainer->code_warnings()) {
        warn(concat("'", result.name, "': ", warning));
      }
    }
    report_.strategies.push_back(std::move(result));
    subject = {};  // what it held of memory goes
  }

  // What the exact pass found, and exact gradients where nothing is coded.
  void tally_scores(std::size_t candidate, std::size_t draw_count, FidelityTally& tally) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(options_.batches); ++i) {
      FixedBatch& fixed = fixed_[i];
      GradientScore score;
      for (std::size_t p = 0; p < fixed.gradients.size(); ++p) {
        auto& found = fixed.scores[candidate][p];
        score.push_back(found ? std::move(*found)
                              : exact_score(fixed.gradients[p], fixed.updates[p], draw_count));
      }
      tally.add(score);
      if (!options_.local) continue;
      // Every layer has exact surroundings already.
      for (std::size_t draw = 0; draw < draw_count; ++draw)
        tally.add_local(sums_of_draw(score, draw));
    }
  }

  // Gives how many passes there were.
  std::int64_t tally_passes(Subject& subject, FidelityTally& tally, KeptRowTally& rows) {
    subject.trainer = std::make_unique<Trainer>(*model_, subject.plan, masks_, *optimizer_,
                                                trainer_options(run_));
    subject.local_trainer = std::make_unique<Trainer>(*model_, subject.local_plan, masks_,
                                                      *optimizer_, trainer_options(run_));
    std::int64_t passes = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(options_.batches); ++i) {
      std::vector<ParameterScorer> scorers(model_->parameters().size());
      for (std::size_t draw = 0; draw < draw_count(subject); ++draw) {
        if (interrupted()) return passes;
        take_gradient(*subject.trainer, fixed_[i].batch, keys(i, draw, nullptr));
        add_draw(gradients_now(), i, scorers);
        rows.reported = subject.trainer->kept_rows();
        rows.add({rows.reported.begin(), rows.reported.end()});
        ++passes;
        advance(subject.plan.strategy);
        if (options_.local) add_local(subject, i, draw, tally);
      }
      tally.add(finish(std::move(scorers), i));
    }
    return passes;
  }

  void add_local(Subject& subject, std::size_t index, std::size_t draw, FidelityTally& tally) {
    ExactSurroundings surroundings(fixed_[index].crossings);
    take_gradient(*subject.local_trainer, fixed_[index].batch, keys(index, draw, &surroundings));
    const std::vector<at::Tensor> gradients = gradients_now();
    std::vector<GradientSums> sums;
    for (std::size_t p = 0; p < gradients.size(); ++p) {
      sums.push_back(compare(gradients[p], fixed_[index].gradients[p]));
    }
    tally.add_local(sums);
    advance(subject.plan.strategy);
  }

  // Of one training step, by a dry run.
  void add_bytes(const std::string& spec, reports::StrategyFidelity& result) const {
    ResolvedRun own = run_;
    own.options.strategy = spec;
    const profiler::MemoryProfile memory = dry_step(own);
    result.peak_bytes = memory.peak.bytes;
    result.saved_distinct_bytes = memory.saved.distinct_bytes;
    result.saved_index_bytes = memory.saved.index_bytes;
    for (reports::LayerFidelity& layer : result.layers) {
      const auto found = std::ranges::find_if(
          memory.layers, [&](const auto& entry) { return entry.name == layer.name; });
      if (found != memory.layers.end()) {
        layer.saved_distinct_bytes = found->saved.distinct_bytes;
      }
    }
  }

  // ---- talking

  bool interrupted() {
    if (progress_.interrupted && progress_.interrupted()) report_.interrupted = true;
    return report_.interrupted;
  }
  void advance(const std::string& what) {
    ++done_;
    if (progress_.step) progress_.step(done_, total_, what);
  }
  void warn(std::string warning) { report_.header.warnings.push_back(std::move(warning)); }

  const CorrelateOptions& options_;
  const Progress& progress_;
  const ResolvedRun& run_;
  DataSource data_;
  Loader loader_;
  std::unique_ptr<Model> model_;
  KeyedMaskSource masks_;
  std::unique_ptr<Optimizer> optimizer_;
  Plan full_plan_;
  Trainer exact_;
  FidelityScopes scopes_;
  std::optional<UpdateRule> updates_;
  std::vector<Subject> subjects_;
  std::vector<Candidate> candidates_;
  std::vector<FixedBatch> fixed_;
  BatchVariance variance_;
  std::int64_t exact_batches_ = 0;
  std::int64_t first_epoch_ = 0;
  std::int64_t done_ = 0, total_ = 0;
  std::chrono::steady_clock::time_point start_;
  reports::CorrelateReport report_;
};

}  // namespace

void check_correlate(const CorrelateOptions& options, const ResolvedRun& run) {
  if (run.device.kind == DeviceId::Kind::meta) {
    throw UsageError("device 'meta' computes no gradients to compare; use cpu");
  }
  if (precision_of(run.precision).low == at::kHalf) {
    throw UsageError(
        "precision 'fp16' scales its loss, and gradients are compared as they are; use bf16 or "
        "fp32");
  }
  if (options.strategies.empty()) {
    throw UsageError("no strategy to compare with the exact gradient; give --strategy SPEC");
  }
  if (options.batches < 1 || options.masks < 1) {
    throw UsageError(concat("batches '", options.batches, "' and masks '", options.masks,
                            "' must be 1 or more"));
  }
  if (options.at && *options.at < 0) {
    throw UsageError(concat("training steps '", *options.at, "' are negative"));
  }
  if (!options.init.empty() && !options.checkpoint.empty()) {
    throw UsageError("give one of --init and --checkpoint, not both");
  }
}

UsageError too_few_batches(const ResolvedRun& run, std::int64_t batches, std::int64_t images) {
  return UsageError(concat("'", batches, "' batches of '", run.options.batch,
                           "' are compared and the data has ", images,
                           " training images; use a smaller --batch"));
}

std::int64_t steps_before(const CorrelateOptions& options) {
  const bool has_weights = !options.init.empty() || !options.checkpoint.empty();
  return options.at.value_or(has_weights ? 0 : kDefaultSteps);
}

std::int64_t correlate_peak_bytes(const CorrelateOptions& options, const ResolvedRun& run) {
  ResolvedRun exact = run;
  exact.options.strategy = "full";
  const profiler::MemoryProfile step = dry_step(exact);
  const std::int64_t parameters =
      step.categories_at_peak[static_cast<std::size_t>(profiler::Category::parameter)];
  // Gradient and update of each exact batch; the update in hand, the mean over masks in fp64, the
  // gradient in hand. The trunk and its gradients are four of the nineteen tensors of its width
  // that a ViT block saves (docs/fidelity.md).
  const std::int64_t exact_batches = std::max<std::int64_t>(options.batches, 2);
  const std::int64_t held = parameters * (2 * exact_batches + 4);
  const std::int64_t trunk = options.local ? step.saved.distinct_bytes / 4 * options.batches : 0;
  return step.peak.bytes + held + trunk;
}

reports::CorrelateReport run_correlate(const CorrelateOptions& options, const Progress& progress) {
  try {
    const ResolvedRun run = resolve_run(options);
    check_correlate(options, run);
    prepare_libtorch(run);
    check_memory(run, "comparing gradients", [&] { return correlate_peak_bytes(options, run); });
    return CorrelateRun(options, progress, run).run();
  } catch (const c10::Error& error) {
    throw Error(
        concat("comparing gradients of '", options.model, "': ", error.what_without_backtrace()));
  }
}

}  // namespace sbp::experiments
