// Anybody's LibTorch module, one step in books that balance.
#include <ATen/core/Tensor.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adagrad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <numeric>
#include <stdexcept>
#include <string>

#include "profiler/torch/profile_step.h"
#include "sbp/base/error.h"
#include "tests/torch/profiler/traced.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::profiler::test {
namespace {

using at::Tensor;

std::int64_t at_peak(const MemoryProfile& memory, Category category) {
  return memory.categories_at_peak[static_cast<std::size_t>(category)];
}

const LayerMemory& layer(const MemoryProfile& memory, const std::string& name) {
  for (const LayerMemory& each : memory.layers) {
    if (each.name == name) return each;
  }
  throw std::runtime_error("no layer " + name);
}

void check_books(const MemoryProfile& memory) {
  INFO(memory.ledger.first_problem);
  CHECK(memory.ledger.balanced);
  const auto& categories = memory.categories_at_peak;
  CHECK(std::accumulate(categories.begin(), categories.end(), std::int64_t{0}) ==
        memory.peak.bytes);
  std::int64_t layers = 0;
  for (const LayerMemory& each : memory.layers) layers += each.own_peak_bytes;
  CHECK(layers == memory.peak.bytes);
  std::int64_t cells = 0;
  for (const PeakCell& cell : memory.cells_at_peak) cells += cell.bytes;
  CHECK(cells == memory.peak.bytes);
}

// torch::nn::Linear cannot be made on Meta, nor moved there.
struct DenseImpl : torch::nn::Module {
  Tensor weight;
  Tensor bias;

  DenseImpl(std::int64_t in, std::int64_t out, at::Device device)
      : weight(register_parameter("weight", at::full({out, in}, 0.1, device))),
        bias(register_parameter("bias", at::full({out}, 0.1, device))) {}
  Tensor forward(const Tensor& x) { return at::linear(x, weight, bias); }
};
TORCH_MODULE(Dense);

// 32 rows of 8 through two linears; classes 4.
struct Perceptron {
  torch::nn::Sequential net;
  Tensor rows;
  Tensor labels;

  explicit Perceptron(at::Device device = at::kCPU)
      : net(Dense(8, 16, device), torch::nn::ReLU(), Dense(16, 4, device)),
        rows(at::ones({32, 8}, device)),
        labels(at::full({32}, 1, at::TensorOptions(device).dtype(at::kLong))) {}

  MemoryProfile profile(torch::optim::Optimizer& optimizer,
                        const ProfileStepOptions& options = {}) {
    const auto step = [&](StepRecorder& recorder) {
      recorder.input(rows);
      recorder.input(labels);
      optimizer.zero_grad();
      const Tensor loss = at::cross_entropy_loss(in_layers(*net, rows), labels);
      recorder.enter(Phase::backward);
      loss.backward();
      recorder.enter(Phase::optimizer_step);
      optimizer.step();
    };
    return profile_step(*net, &optimizer, step, options);
  }
};

constexpr std::int64_t kParameterBytes = (8 * 16 + 16 + 16 * 4 + 4) * 4;
constexpr std::int64_t kHiddenBytes = 32 * 16 * 4;
constexpr std::int64_t kLogitBytes = 32 * 4 * 4;
constexpr std::int64_t kLossBytes = 4;  // what the step makes for itself is for nothing known

template <typename Optimizer, typename Options>
void check_state(const Options& options, std::int64_t copies) {
  Perceptron perceptron;
  Optimizer optimizer(perceptron.net->parameters(), options);
  const MemoryProfile memory = perceptron.profile(optimizer);
  check_books(memory);
  CHECK(at_peak(memory, Category::optimizer_state) == copies * kParameterBytes);
  CHECK(at_peak(memory, Category::unknown) == kLossBytes);
}

TEST_CASE("profile_step: a perceptron to the byte, on the CPU and on Meta") {
  std::vector<MemoryProfile> memories;
  for (const at::Device device : {at::Device(at::kCPU), at::Device(at::kMeta)}) {
    Perceptron perceptron(device);
    torch::optim::Adam adam(perceptron.net->parameters());
    const MemoryProfile memory = perceptron.profile(adam);
    check_books(memory);
    CHECK(at_peak(memory, Category::parameter) == kParameterBytes);
    CHECK(at_peak(memory, Category::optimizer_state) == 2 * kParameterBytes);
    CHECK(at_peak(memory, Category::input) == 32 * 8 * 4 + 32 * 8);
    CHECK(at_peak(memory, Category::unknown) == kLossBytes);
    // ReLU's output, once for itself and once for the linear after it; the log of the softmax,
    // twice; the total weight.
    CHECK(memory.saved.distinct_bytes == kHiddenBytes + kLogitBytes + 4);
    CHECK(memory.saved.logical_bytes == 2 * (kHiddenBytes + kLogitBytes) + 4);
    CHECK(layer(memory, "0").kind == "dense");
    CHECK(layer(memory, "0").saved.distinct_bytes == 0);
    CHECK(layer(memory, "1").kind == "relu");
    CHECK(layer(memory, "1").saved.distinct_bytes == kHiddenBytes);
    CHECK(layer(memory, "2").saved.distinct_bytes == kHiddenBytes);
    CHECK(layer(memory, "2").saved.marginal_bytes == 0);
    CHECK(
        layer(memory, "2").own_categories_at_peak[static_cast<std::size_t>(Category::parameter)] ==
        (16 * 4 + 4) * 4);
    REQUIRE(memory.phases.size() >= 3);
    memories.push_back(memory);
  }
  CHECK(memories[0].saved == memories[1].saved);
}

TEST_CASE("profile_step: the state of LibTorch's optimizers is found") {
  check_state<torch::optim::SGD>(torch::optim::SGDOptions(0.1), 0);
  check_state<torch::optim::SGD>(torch::optim::SGDOptions(0.1).momentum(0.9), 1);
  check_state<torch::optim::Adagrad>(torch::optim::AdagradOptions(), 1);
  check_state<torch::optim::RMSprop>(torch::optim::RMSpropOptions().momentum(0.9).centered(true),
                                     3);
  check_state<torch::optim::AdamW>(torch::optim::AdamWOptions(), 2);
  check_state<torch::optim::Adam>(torch::optim::AdamOptions().amsgrad(true), 3);
}

// A user's own module: a Sequential inside, and a layer that it calls itself.
struct ConvNetImpl : torch::nn::Module {
  torch::nn::Sequential body{torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3).padding(1)),
                             torch::nn::BatchNorm2d(8), torch::nn::ReLU()};
  torch::nn::Linear head{8 * 64, 5};
  Tensor offset;

  ConvNetImpl() {
    register_module("body", body);
    register_module("head", head);
    offset = register_parameter("offset", at::ones({5}));
  }
  Tensor forward(const Tensor& images) {
    return in_layer(head, in_layers(*body, images).flatten(1)) + offset;
  }
};
TORCH_MODULE(ConvNet);

TEST_CASE("profile_step: convolution, buffers, nested names, no optimizer") {
  ConvNet net;
  const Tensor images = at::ones({2, 3, 8, 8});
  const auto memory = profile_step(*net, nullptr, [&](StepRecorder& recorder) {
    recorder.input(images);
    net->zero_grad();
    const Tensor loss = net->forward(images).sum();
    recorder.enter(Phase::backward);
    loss.backward();
  });
  check_books(memory);
  constexpr std::int64_t kMap = 2 * 8 * 64 * 4;
  CHECK(at_peak(memory, Category::parameter) == (8 * 3 * 9 + 8 + 2 * 8 + 8 * 64 * 5 + 5 + 5) * 4);
  CHECK(at_peak(memory, Category::buffer) == 2 * 8 * 4 + 8);
  CHECK(at_peak(memory, Category::unknown) * 100 < memory.peak.bytes);
  CHECK(layer(memory, "body.0").kind == "conv2d");
  CHECK(layer(memory, "body.1").kind == "batchnorm2d");
  // Its input, batch mean and inverse deviation.
  CHECK(layer(memory, "body.1").saved.distinct_bytes == kMap + 2 * 8 * 4);
  CHECK(layer(memory, "body.2").saved.distinct_bytes == kMap);
  CHECK(layer(memory, "head").saved.distinct_bytes == kMap);
  CHECK(layer(memory, "body").saved.distinct_bytes == 2 * kMap + 2 * 8 * 4);
  CHECK(memory.saved.distinct_bytes == 2 * kMap + 2 * 8 * 4);
}

TEST_CASE("profile_step: what cannot be in the books is said") {
  std::vector<float> borrowed(4);
  torch::nn::Module holder;
  holder.register_parameter("theirs", at::from_blob(borrowed.data(), {2, 2}));
  CHECK_THROWS_WITH_AS(profile_step(holder, nullptr, [](StepRecorder&) {}),
                       doctest::Contains("'theirs' is not counted"), Error);
  torch::nn::Module mixed;
  mixed.register_parameter("here", at::ones({2}));
  mixed.register_parameter("there", at::ones({2}, at::kMeta));
  CHECK_THROWS_WITH_AS(profile_step(mixed, nullptr, [](StepRecorder&) {}),
                       doctest::Contains("'there' is on meta, others are on cpu"), Error);
}

TEST_CASE("profile_step: a step that throws leaves nothing behind") {
  Perceptron perceptron;
  torch::optim::SGD sgd(perceptron.net->parameters(), 0.1);
  int calls = 0;
  const auto failing = [&](StepRecorder&) {
    if (++calls == 3) throw std::runtime_error("lost");
  };
  CHECK_THROWS_WITH(profile_step(*perceptron.net, &sgd, failing), "lost");
  CHECK(calls == 3);
  // Outside a traced step the scopes do nothing.
  in_layers(*perceptron.net, perceptron.rows);
  check_books(perceptron.profile(sgd, {.warmup = 0}));
}

}  // namespace
}  // namespace sbp::profiler::test
