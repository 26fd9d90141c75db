// Every optimizer against its closed update, and going on after a load.
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <map>

#include "experiments/runs/catalogue.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/schedule.h"
#include "sbp/base/error.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

const std::vector<std::string> kEverySpec = {
    "adam:weight_decay=0.1",
    "adamw:lr=0.1,beta1=0.8,weight_decay=0.5",
    "adamw:decay=all",
    "sgd",
    "sgd:momentum=0.9,weight_decay=0.1",
    "sgd:momentum=0.9,nesterov=true",
    "rmsprop:alpha=0.9",
    "rmsprop:alpha=0.9,momentum=0.9,weight_decay=0.1,decay=all",
    "rmsprop:centered=true",
    "rmsprop:centered=true,momentum=0.5",
    "adagrad:initial=0.1,weight_decay=0.1",
    "adamw:lr=0.1,beta1=0.8,weight_decay=0.5,loop=foreach",
    "sgd:momentum=0.9,weight_decay=0.1,loop=foreach",
    "rmsprop:centered=true,momentum=0.5,loop=foreach",
    "adagrad:initial=0.1,weight_decay=0.1,loop=foreach",
};

std::unique_ptr<Optimizer> optimizer_of(const std::string& spec,
                                        const std::vector<Parameter>& parameters) {
  return make_optimizer(parse_spec(spec, "optimizer", optimizer_schemas()), parameters);
}

std::vector<Parameter> two_parameters(at::ScalarType dtype = at::kFloat,
                                      at::Device device = at::kCPU) {
  std::vector<Parameter> parameters;
  for (const bool decays : {true, false}) {
    const at::Tensor value = at::full({2}, 1.0, at::dtype(dtype).device(device));
    parameters.push_back({decays ? "weight" : "bias", value.requires_grad_(true), 0, decays});
  }
  return parameters;
}

double gradient_at(int step) {
  return step == 0 ? 0.5 : -0.25 * step;
}

void give_gradients(const std::vector<Parameter>& parameters, int step) {
  for (const Parameter& parameter : parameters) {
    parameter.value.mutable_grad() = at::full(
        {2}, gradient_at(step) * (parameter.decays ? 1.0 : 0.3), parameter.value.options());
  }
}

std::map<std::string, at::Tensor> state_of(const Optimizer& optimizer) {
  std::map<std::string, at::Tensor> state;
  optimizer.for_each_state(
      [&](const std::string& name, const at::Tensor& tensor, const Parameter& owner) {
        state[owner.name + "/" + name] = tensor;
      });
  return state;
}

// One parameter's value under an update written out: `update(step, value, gradient)`.
template <typename Update>
void check_against(const std::string& spec, Update update) {
  CAPTURE(spec);
  const std::vector<Parameter> parameters = two_parameters(at::kDouble);
  const auto optimizer = optimizer_of(spec, parameters);
  double expected = 1.0;
  for (int step = 0; step < 4; ++step) {
    give_gradients(parameters, step);
    optimizer->step(0.1 / (step + 1));
    expected = update(step, expected, gradient_at(step), 0.1 / (step + 1));
    CHECK(parameters[0].value[1].item<double>() == doctest::Approx(expected).epsilon(1e-12));
  }
  CHECK(optimizer->steps() == 4);
}

TEST_CASE("Adam and AdamW are bias-corrected moments; only the place of the decay differs") {
  for (const bool decoupled : {false, true}) {
    double first = 0, second = 0;
    check_against(
        concat(decoupled ? "adamw" : "adam", ":beta1=0.8,beta2=0.9,eps=0.01,weight_decay=0.3"),
        [&](int step, double value, double gradient, double rate) {
          if (decoupled) value *= 1 - rate * 0.3;
          if (!decoupled) gradient += 0.3 * value;
          first = 0.8 * first + 0.2 * gradient;
          second = 0.9 * second + 0.1 * gradient * gradient;
          const double m = first / (1 - std::pow(0.8, step + 1));
          const double v = second / (1 - std::pow(0.9, step + 1));
          return value - rate * m / (std::sqrt(v) + 0.01);
        });
  }
}

TEST_CASE("SGD with and without momentum, Nesterov's too") {
  check_against("sgd:weight_decay=0.3", [](int, double value, double gradient, double rate) {
    return value - rate * (gradient + 0.3 * value);
  });
  for (const bool nesterov : {false, true}) {
    double buffer = 0;
    check_against(concat("sgd:momentum=0.9,nesterov=", nesterov ? "true" : "false"),
                  [&](int, double value, double gradient, double rate) {
                    buffer = 0.9 * buffer + gradient;
                    return value - rate * (nesterov ? gradient + 0.9 * buffer : buffer);
                  });
  }
}

TEST_CASE("RMSprop, plain, centered and with momentum") {
  for (const bool centered : {false, true}) {
    double square = 0, mean = 0, buffer = 0;
    check_against(concat("rmsprop:alpha=0.8,eps=0.01,momentum=0.5,weight_decay=0.3,centered=",
                         centered ? "true" : "false"),
                  [&](int, double value, double gradient, double rate) {
                    gradient += 0.3 * value;
                    square = 0.8 * square + 0.2 * gradient * gradient;
                    if (centered) mean = 0.8 * mean + 0.2 * gradient;
                    buffer = 0.5 * buffer + gradient / (std::sqrt(square - mean * mean) + 0.01);
                    return value - rate * buffer;
                  });
  }
}

TEST_CASE("Adagrad sums squares") {
  double sum = 0.2;
  check_against("adagrad:eps=0.01,initial=0.2,weight_decay=0.3",
                [&](int, double value, double gradient, double rate) {
                  gradient += 0.3 * value;
                  sum += gradient * gradient;
                  return value - rate * gradient / (std::sqrt(sum) + 0.01);
                });
}

TEST_CASE("weight decay is on matrices only unless it is on all") {
  for (const char* name : {"adam", "adamw", "sgd", "rmsprop", "adagrad"}) {
    for (const std::string which : {"matrices", "all"}) {
      CAPTURE(std::string(name));
      CAPTURE(which);
      const std::vector<Parameter> decayed = two_parameters(), plain = two_parameters();
      const auto with = optimizer_of(concat(name, ":weight_decay=0.5,decay=", which), decayed);
      const auto without = optimizer_of(concat(name, ":weight_decay=0"), plain);
      // Twice: a first Adam step hides the size of the gradient.
      for (int step = 0; step < 2; ++step) {
        give_gradients(decayed, step);
        give_gradients(plain, step);
        with->step(0.1);
        without->step(0.1);
      }
      CHECK_FALSE(decayed[0].value.equal(plain[0].value));
      CHECK(decayed[1].value.equal(plain[1].value) == (which == "matrices"));
    }
  }
}

TEST_CASE("state has PyTorch's names and is no more than is needed") {
  const auto names_after_a_step = [](const std::string& spec) {
    const std::vector<Parameter> parameters = two_parameters();
    const auto optimizer = optimizer_of(spec, parameters);
    give_gradients(parameters, 0);
    optimizer->step(0.1);
    std::vector<std::string> names;
    for (const auto& [name, tensor] : state_of(*optimizer)) {
      CHECK(tensor.numel() == 2);
      if (name.starts_with("bias/")) names.push_back(name.substr(5));
    }
    optimizer->zero_grad();
    CHECK_FALSE(parameters[0].value.grad().defined());
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(names_after_a_step("adamw") == Names{"exp_avg", "exp_avg_sq"});
  CHECK(names_after_a_step("sgd") == Names{});
  CHECK(names_after_a_step("sgd:momentum=0.9") == Names{"momentum_buffer"});
  CHECK(names_after_a_step("rmsprop") == Names{"square_avg"});
  CHECK(names_after_a_step("rmsprop:momentum=0.9,centered=true") ==
        Names{"grad_avg", "momentum_buffer", "square_avg"});
  CHECK(names_after_a_step("adagrad") == Names{"sum"});
}

TEST_CASE("an optimizer that loads another's state goes on bit for bit") {
  for (const std::string& spec : kEverySpec) {
    CAPTURE(spec);
    const std::vector<Parameter> whole = two_parameters();
    const auto uninterrupted = optimizer_of(spec, whole);
    std::vector<Parameter> resumed = two_parameters();
    std::unique_ptr<Optimizer> second;
    for (int step = 0; step < 6; ++step) {
      if (step == 3) {
        for (std::size_t i = 0; i < resumed.size(); ++i) {
          resumed[i].value.detach().copy_(whole[i].value.detach());
        }
        second = optimizer_of(spec, resumed);
        std::map<std::string, at::Tensor> saved = state_of(*uninterrupted);
        for (auto& [name, tensor] : saved) tensor = tensor.clone();
        second->load_state(uninterrupted->steps(),
                           [&](const Parameter& owner, const std::string& name) {
                             const auto found = saved.find(owner.name + "/" + name);
                             return found == saved.end() ? at::Tensor() : found->second;
                           });
        for (const auto& [name, tensor] : saved) tensor.fill_(7.0);  // copies were taken
      }
      give_gradients(whole, step);
      uninterrupted->step(0.1);
      if (second == nullptr) continue;
      give_gradients(resumed, step);
      second->step(0.1);
    }
    CHECK(second->steps() == 6);
    for (std::size_t i = 0; i < whole.size(); ++i) CHECK(resumed[i].value.equal(whole[i].value));
    const auto expected = state_of(*uninterrupted), got = state_of(*second);
    REQUIRE(got.size() == expected.size());
    for (const auto& [name, tensor] : expected) CHECK(got.at(name).equal(tensor));
  }
}

TEST_CASE("state that was read on the CPU goes to the parameter's device") {
  const std::vector<Parameter> parameters = two_parameters(at::kFloat, at::kMeta);
  const auto adam = optimizer_of("adamw", parameters);
  adam->load_state(3, [](const Parameter&, const std::string&) { return at::full({2}, 0.5); });
  const auto state = state_of(*adam);
  CHECK(state.size() == 4);
  for (const auto& [name, tensor] : state) CHECK(tensor.is_meta());
}

TEST_CASE("state that does not fit is refused, and so is half a state") {
  const std::vector<Parameter> parameters = two_parameters();
  const auto loading = [&](const std::function<at::Tensor(const std::string&)>& stored) {
    return [&parameters, stored] {
      optimizer_of("adamw", parameters)
          ->load_state(1, [&](const Parameter&, const std::string& name) { return stored(name); });
    };
  };
  CHECK_THROWS_WITH_AS(loading([](const std::string&) { return at::full({3}, 0.0); })(),
                       doctest::Contains("exp_avg of 'weight': it is"), Error);
  CHECK_THROWS_AS(loading([](const std::string&) { return at::full({2}, 0.0, at::kDouble); })(),
                  Error);
  CHECK_THROWS_WITH_AS(loading([](const std::string& name) {
                         return name == "exp_avg" ? at::full({2}, 0.0) : at::Tensor();
                       })(),
                       doctest::Contains("it has 1 tensors and needs 2"), Error);
  const auto used = optimizer_of("adamw", parameters);
  give_gradients(parameters, 0);
  used->step(0.1);
  CHECK_THROWS_AS(
      used->load_state(1, [](const Parameter&, const std::string&) { return at::Tensor(); }),
      Error);
}

TEST_CASE("the number of updates is refused when it does not hold for all parameters") {
  const std::vector<Parameter> parameters = two_parameters();
  const auto adam = optimizer_of("adam", parameters), sgd = optimizer_of("sgd", parameters);
  give_gradients(parameters, 0);
  parameters[1].value.mutable_grad() = at::Tensor();
  adam->step(0.1);
  CHECK(adam->steps() == 1);  // the other has no state at all
  give_gradients(parameters, 1);
  adam->step(0.1);
  sgd->step(0.1);
  CHECK_THROWS_WITH_AS(adam->steps(), doctest::Contains("made 2 updates and only 1 of 'bias'"),
                       Error);
  CHECK(sgd->steps() == 1);
}

TEST_CASE("Nesterov's look ahead without momentum is an error") {
  const std::vector<Parameter> parameters = two_parameters();
  CHECK_THROWS_WITH_AS(optimizer_of("sgd:nesterov=true", parameters),
                       doctest::Contains("needs a momentum above 0"), UsageError);
}

TEST_CASE("every optimizer steps on Meta and keeps the same state there") {
  for (const std::string& spec : kEverySpec) {
    CAPTURE(spec);
    const std::vector<Parameter> cpu = two_parameters(),
                                 meta = two_parameters(at::kFloat, at::kMeta);
    const auto on_cpu = optimizer_of(spec, cpu), on_meta = optimizer_of(spec, meta);
    for (int step = 0; step < 2; ++step) {
      give_gradients(cpu, step);
      give_gradients(meta, step);
      on_cpu->step(0.1);
      on_meta->step(0.1);
    }
    const auto expected = state_of(*on_cpu), got = state_of(*on_meta);
    REQUIRE(got.size() == expected.size());
    for (const auto& [name, tensor] : expected) CHECK(got.at(name).nbytes() == tensor.nbytes());
  }
}

TEST_CASE("a cosine schedule rises linearly and ends near its minimum") {
  const Schedule schedule{.peak = 1.0, .minimum = 0.1, .warmup_steps = 4, .total_steps = 24};
  CHECK(schedule.at(0) == doctest::Approx(0.25));
  CHECK(schedule.at(3) == doctest::Approx(1.0));
  CHECK(schedule.at(4) == doctest::Approx(1.0));
  CHECK(schedule.at(14) == doctest::Approx(0.55));
  CHECK(schedule.at(24) == doctest::Approx(0.1));
  const Schedule constant{.kind = Schedule::Kind::constant, .peak = 0.3, .total_steps = 9};
  CHECK(constant.at(8) == 0.3);
}

}  // namespace
}  // namespace sbp::experiments
