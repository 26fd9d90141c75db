// The foreach form of every optimizer: the loop's updates, and the memory of PyTorch's own.
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "experiments/runs/catalogue.h"
#include "experiments/training/optimizer.h"
#include "profiler/torch/tracer.h"
#include "sbp/base/error.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

std::unique_ptr<Optimizer> optimizer_of(const std::string& spec, const std::string& loop,
                                        const std::vector<Parameter>& parameters) {
  const std::string key = concat(spec.find(':') == std::string::npos ? ":" : ",", "loop=", loop);
  return make_optimizer(parse_spec(spec + key, "optimizer", optimizer_schemas()), parameters);
}

// Of 60, 28 and 48 bytes.
std::vector<Parameter> three_parameters(const at::TensorOptions& options) {
  const std::vector<std::vector<std::int64_t>> shapes = {{3, 5}, {7}, {2, 2, 3}};
  std::vector<Parameter> parameters;
  for (const auto& shape : shapes) {
    const at::Tensor value =
        options.device().is_meta() ? at::empty(shape, options) : at::randn(shape, options);
    parameters.push_back({concat("p", parameters.size()), value.requires_grad_(true), 0,
                          /*decays=*/shape.size() > 1});
  }
  return parameters;
}

std::vector<Parameter> copies_of(const std::vector<Parameter>& parameters) {
  std::vector<Parameter> copies = parameters;
  for (Parameter& copy : copies) copy.value = copy.value.detach().clone().requires_grad_(true);
  return copies;
}

// What PyTorch 2.14 allocates and frees when an optimizer with foreach=True is made and in its
// first two steps: `+a` a tensor as large as the first parameter, and so on; frees that follow one
// another are sorted. As its CPU profiler reports it, scalars left out.
struct Events {
  std::string spec;
  std::string made, first, second;
};
const std::vector<Events> kPyTorch = {
    {"adamw:weight_decay=0.1", "", "+a +a +b +b +c +c +a +b +c -a -b -c", "+a +b +c -a -b -c"},
    {"adamw:weight_decay=0", "", "+a +a +b +b +c +c +a +b +c -a -b -c", "+a +b +c -a -b -c"},
    {"adam:weight_decay=0", "", "+a +a +b +b +c +c +a +b +c -a -b -c", "+a +b +c -a -b -c"},
    {"adam:weight_decay=0.1", "", "+a +a +b +b +c +c +a +b +c -a -b -c +a +b +c -a -b -c",
     "+a +b +c -a -b -c +a +b +c -a -b -c"},
    {"sgd", "", "", ""},
    {"sgd:weight_decay=0.1", "", "+a +b +c -a -b -c", "+a +b +c -a -b -c"},
    {"sgd:momentum=0.9", "", "+a +b +c", ""},
    {"sgd:momentum=0.9,weight_decay=0.1", "", "+a +b +c +a +b +c -a -b -c", "+a +b +c -a -b -c"},
    {"sgd:momentum=0.9,nesterov=true", "", "+a +b +c", ""},
    {"sgd:momentum=0.9,nesterov=true,weight_decay=0.1", "", "+a +b +c +a +b +c -a -b -c",
     "+a +b +c -a -b -c"},
    {"rmsprop", "", "+a +b +c +a +b +c -a -b -c", "+a +b +c -a -b -c"},
    {"rmsprop:weight_decay=0.1", "", "+a +b +c +a +b +c +a +b +c -a -a -b -b -c -c",
     "+a +b +c +a +b +c -a -a -b -b -c -c"},
    {"rmsprop:momentum=0.9", "", "+a +a +b +b +c +c +a +b +c -a -b -c", "+a +b +c -a -b -c"},
    {"rmsprop:centered=true", "", "+a +a +b +b +c +c +a +b +c -a -b -c", "+a +b +c -a -b -c"},
    {"rmsprop:momentum=0.9,weight_decay=0.1,centered=true", "",
     "+a +a +a +b +b +b +c +c +c +a +b +c +a +b +c -a -a -b -b -c -c",
     "+a +b +c +a +b +c -a -a -b -b -c -c"},
    {"adagrad", "+a +b +c", "+a +b +c +a +b +c -a -a -b -b -c -c",
     "+a +b +c +a +b +c -a -a -b -b -c -c"},
    {"adagrad:weight_decay=0.1", "+a +b +c", "+a +b +c +a +b +c -a -a -b -b -c -c",
     "+a +b +c +a +b +c -a -a -b -b -c -c"},
};

TEST_CASE("foreach and each make the same updates and keep the same state") {
  for (const Events& events : kPyTorch) {
    const std::string& spec = events.spec;
    CAPTURE(spec);
    const std::vector<Parameter> one = three_parameters(at::dtype(at::kDouble));
    const std::vector<Parameter> other = copies_of(one);
    const auto each = optimizer_of(spec, "each", one);
    const auto foreach = optimizer_of(spec, "foreach", other);
    for (int step = 0; step < 5; ++step) {
      for (std::size_t i = 0; i < one.size(); ++i) {
        if (step == 2 && i == 1) continue;  // one of them has no gradient this time
        one[i].value.mutable_grad() = at::randn_like(one[i].value);
        other[i].value.mutable_grad() = one[i].value.grad().clone();
      }
      each->step(0.1 / (step + 1));
      foreach
        ->step(0.1 / (step + 1));
      each->zero_grad();
      foreach
        ->zero_grad();
      for (std::size_t i = 0; i < one.size(); ++i) {
        CHECK_FALSE(other[i].value.grad().defined());
        CHECK(at::allclose(one[i].value, other[i].value, 1e-12, 1e-12));
      }
    }
    std::map<std::string, at::Tensor> states;
    each->for_each_state([&](const std::string& name, const at::Tensor& state,
                             const Parameter& owner) { states[owner.name + name] = state; });
    std::size_t found = 0;
    foreach
      ->for_each_state(
          [&](const std::string& name, const at::Tensor& state, const Parameter& owner) {
            CHECK(at::allclose(states.at(owner.name + name), state, 1e-12, 1e-12));
            ++found;
          });
    CHECK(found == states.size());
  }
}

TEST_CASE("foreach goes on from the state of each, and the other way round") {
  for (const Events& events : kPyTorch) {
    for (const std::string from : {"each", "foreach"}) {
      const std::string& spec = events.spec;
      CAPTURE(spec);
      CAPTURE(from);
      const std::string to = from == "each" ? "foreach" : "each";
      const std::vector<Parameter> whole = three_parameters(at::dtype(at::kDouble));
      const auto first = optimizer_of(spec, from, whole);
      const auto step = [](Optimizer& optimizer, const std::vector<Parameter>& parameters,
                           double gradient) {
        for (const Parameter& parameter : parameters) {
          parameter.value.mutable_grad() = parameter.value.detach().mul(gradient);
        }
        optimizer.step(0.1);
      };
      step(*first, whole, 0.5);
      step(*first, whole, -0.2);
      const std::vector<Parameter> resumed = copies_of(whole);
      const auto second = optimizer_of(spec, to, resumed);
      second->load_state(first->steps(), [&](const Parameter& owner, const std::string& name) {
        at::Tensor stored;
        first->for_each_state(
            [&](const std::string& its_name, const at::Tensor& state, const Parameter& its_owner) {
              if (its_name == name && its_owner.name == owner.name) stored = state;
            });
        return stored;
      });
      step(*first, whole, 0.3);
      step(*second, resumed, 0.3);
      CHECK(second->steps() == 3);
      for (std::size_t i = 0; i < whole.size(); ++i) {
        CHECK(at::allclose(whole[i].value, resumed[i].value, 1e-12, 1e-12));
      }
    }
  }
}

std::string name_of(std::int64_t bytes) {
  return bytes == 60 ? "a" : bytes == 28 ? "b" : bytes == 48 ? "c" : concat(bytes);
}

// What happens during `body`, in the spelling of Events.
template <typename Body>
std::string events_on_meta(const Body& body) {
  LayerTable layers;
  profiler::Tracer tracer({.device = {DeviceId::Kind::meta}, .buffer_records = 1 << 12}, layers);
  tracer.enter(Phase::optimizer_step);
  body();
  bool started = false;  // before that come the blocks that were there
  std::vector<std::string> freed;
  std::string text;
  const auto write = [&](const std::string& event) {
    text += concat(text.empty() ? "" : " ", event);
  };
  const auto write_freed = [&] {
    std::ranges::sort(freed);
    for (const std::string& event : freed) write(event);
    freed.clear();
  };
  for (const profiler::Record& record : tracer.stop().records) {
    started = started || (record.kind == profiler::RecordKind::phase &&
                          record.detail == static_cast<std::uint8_t>(Phase::optimizer_step));
    if (!started) continue;
    if (record.kind == profiler::RecordKind::allocate) {
      write_freed();
      write("+" + name_of(record.bytes));
    } else if (record.kind == profiler::RecordKind::free) {
      freed.push_back("-" + name_of(record.bytes));
    }
  }
  write_freed();
  return text;
}

TEST_CASE("foreach allocates and frees what PyTorch's does, in its order") {
  for (const Events& expected : kPyTorch) {
    CAPTURE(expected.spec);
    std::vector<Parameter> parameters = three_parameters(at::device(at::kMeta));
    for (Parameter& parameter : parameters) parameter.decays = true;  // one group
    std::unique_ptr<Optimizer> optimizer;
    CHECK(events_on_meta([&] { optimizer = optimizer_of(expected.spec, "foreach", parameters); }) ==
          expected.made);
    for (const std::string& step : {expected.first, expected.second}) {
      for (const Parameter& parameter : parameters) {
        parameter.value.mutable_grad() = at::empty_like(parameter.value);
      }
      CHECK(events_on_meta([&] { optimizer->step(0.1); }) == step);
    }
  }
}

TEST_CASE("auto is each where there is no CUDA") {
  const std::vector<Parameter> parameters = three_parameters(at::device(at::kMeta));
  const auto temporaries = [&](const std::string& loop) {
    const auto optimizer = optimizer_of("adamw", loop, parameters);
    for (const Parameter& parameter : parameters) {
      parameter.value.mutable_grad() = at::empty_like(parameter.value);
    }
    optimizer->step(0.1);
    return events_on_meta([&] { optimizer->step(0.1); });
  };
  CHECK(temporaries("auto") == temporaries("each"));
  CHECK(temporaries("auto") != temporaries("foreach"));
}

}  // namespace
}  // namespace sbp::experiments
