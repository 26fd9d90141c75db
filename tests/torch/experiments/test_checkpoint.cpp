// A run's tensors to a file and back.
#include <ATen/ops/full_like.h>

#include <limits>

#include "experiments/models/mlp.h"
#include "experiments/runs/catalogue.h"
#include "experiments/training/checkpoint.h"
#include "experiments/training/checkpoint_folder.h"
#include "tests/experiments/scratch_folder.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

using tests::contains;
using tests::error_text;
using tests::ScratchFolder;

struct Run {
  std::unique_ptr<Model> model;
  std::unique_ptr<Optimizer> optimizer;
};

Run make_run(std::uint64_t seed, std::int64_t hidden = 4) {
  Run run;
  run.model = make_mlp({.input = {3, 2, 2, 4}, .hidden = hidden}, {.seed = seed});
  run.optimizer = make_optimizer(parse_spec("adamw", "optimizer", optimizer_schemas()),
                                 run.model->parameters());
  return run;
}

void update(const Run& run, double gradient) {
  for (const Parameter& parameter : run.model->parameters()) {
    parameter.value.mutable_grad() = at::full_like(parameter.value.detach(), gradient);
  }
  run.optimizer->step(0.1);
}

TEST_CASE("checkpoint: a run that reads its tensors goes on like the one that wrote them") {
  const ScratchFolder folder;
  const std::string path = folder.path("x.safetensors");
  const Run first = make_run(1), second = make_run(2);
  update(first, 0.5);
  update(first, -0.25);
  const NamedTensors averages = {{"head.bias", first.model->parameters().back().value.clone()}};
  const NamedTensors others = {{"head.bias", second.model->parameters().back().value.clone()}};
  write_tensors(path, *first.model, *first.optimizer, averages);
  CHECK(weights_checksum(*first.model) != weights_checksum(*second.model));

  const SafetensorsFile file(path);
  CHECK(file.tensors().contains("optimizer/exp_avg_sq/layers.0.fc.weight"));
  CHECK(file.tensors().contains("average/head.bias"));
  read_weights(file, path, *second.model, others);
  read_optimizer(file, 2, *second.optimizer);
  check_nothing_else(file, path, *second.model, *second.optimizer, others);
  CHECK(weights_checksum(*first.model) == weights_checksum(*second.model));
  CHECK(others[0].second.equal(averages[0].second));
  update(first, 0.125);
  update(second, 0.125);
  CHECK(weights_checksum(*first.model) == weights_checksum(*second.model));
  // Averages that the run does not keep are not passed over.
  CHECK(contains(
      error_text([&] { check_nothing_else(file, path, *second.model, *second.optimizer, {}); }),
      "'average/head.bias'"));
}

TEST_CASE("checkpoint: the file of another model is refused") {
  const ScratchFolder folder;
  const std::string path = folder.path("x.safetensors");
  const Run wide = make_run(1, 5), narrow = make_run(1, 4);
  write_tensors(path, *wide.model, *wide.optimizer, {});
  const SafetensorsFile file(path);
  CHECK(contains(error_text([&] { read_weights(file, path, *narrow.model, {}); }),
                 "tensor 'layers.0.fc.weight' is F32 [5, 12] there and F32 [4, 12] in the model"));
  CHECK(contains(error_text([&] {
                   const NamedTensors wanted = {{"head.bias", wide.model->parameters()[0].value}};
                   read_weights(file, path, *wide.model, wanted);
                 }),
                 "no tensor 'average/head.bias'"));
}

TEST_CASE("checkpoint: weights that are not finite are not written") {
  const ScratchFolder folder;
  const Run run = make_run(1);
  run.model->parameters()[1].value.detach().fill_(std::numeric_limits<double>::quiet_NaN());
  CHECK(
      contains(error_text([&] { write_tensors(folder.path("x"), *run.model, *run.optimizer, {}); }),
               "'layers.0.fc.bias' holds numbers that are not finite"));
  CHECK_FALSE(std::filesystem::exists(folder.path("x")));
}

TEST_CASE("checkpoint: the checksum of weights tells names, shapes and values apart") {
  const Run run = make_run(1);
  const std::string before = weights_checksum(*run.model);
  CHECK(before == weights_checksum(*make_run(1).model));
  const at::Tensor value = run.model->parameters().back().value.detach();
  value[0] = 1e-30;  // was zero
  CHECK(weights_checksum(*run.model) != before);
  value[0] = 0.0;
  CHECK(weights_checksum(*run.model) == before);
}

TEST_CASE("a run that is replaced cannot be gone on with, even before it is saved again") {
  const ScratchFolder folder;
  const std::string path = folder.path("run");
  using Start = CheckpointFolder::Start;
  {
    CheckpointFolder first(path, Start::fresh, 1);
    reports::Checkpoint checkpoint;
    checkpoint.step = 3;
    first.commit(checkpoint);
  }
  CHECK(CheckpointFolder(path, Start::resume, 1).found()->step == 3);
  CHECK_FALSE(CheckpointFolder(path, Start::replace, 1).found().has_value());
  CHECK_FALSE(CheckpointFolder(path, Start::resume, 1).found().has_value());
}

}  // namespace
}  // namespace sbp::experiments
