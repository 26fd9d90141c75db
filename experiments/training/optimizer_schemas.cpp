// The optimizers that a spec can name, with PyTorch's defaults except where a help text says why.
#include "experiments/runs/catalogue.h"

namespace sbp::experiments {
namespace {

KeySchema rate(std::string key, std::string value, std::string help) {
  return {.key = std::move(key),
          .kind = ValueKind::real,
          .default_value = std::move(value),
          .help = std::move(help),
          .minimum = 0.0,
          .maximum = 1e6};
}

KeySchema ratio_below_one(std::string key, std::string value, std::string help) {
  KeySchema schema = rate(std::move(key), std::move(value), std::move(help));
  schema.maximum = 1.0;
  schema.open_maximum = true;
  return schema;
}

KeySchema word(std::string key, std::string help, std::vector<std::string> words) {
  return {.key = std::move(key),
          .kind = ValueKind::word,
          .default_value = words.front(),
          .help = std::move(help),
          .words = std::move(words)};
}

KeySchema learning_rate(std::string value) {
  return rate("lr", std::move(value), "learning rate (peak of the schedule)");
}

KeySchema what_decays() {
  return word("decay", "matrices: and kernels only, not biases, norms, tokens, positions",
              {"matrices", "all"});
}

KeySchema loop() {
  return word("loop", "auto: foreach on CUDA and where it is predicted, else each",
              {"auto", "each", "foreach"});
}

SpecSchema adam(std::string name, std::string summary, KeySchema weight_decay) {
  return {std::move(name),
          std::move(summary),
          {learning_rate("0.001"), ratio_below_one("beta1", "0.9", "decay of the first moment"),
           ratio_below_one("beta2", "0.999", "decay of the second moment"),
           rate("eps", "1e-8", "added to the denominator"), std::move(weight_decay), what_decays(),
           loop()}};
}

}  // namespace

const std::vector<SpecSchema>& optimizer_schemas() {
  static const std::vector<SpecSchema> schemas = {
      adam("adamw", "AdamW: decoupled weight decay",
           rate("weight_decay", "0.05", "decoupled weight decay")),
      adam("adam", "Adam: weight decay as a part of the gradient",
           rate("weight_decay", "0", "L2 penalty")),
      {"sgd",
       "stochastic gradient descent, with momentum",
       {learning_rate("0.1"), rate("momentum", "0", "0: none, and no state"),
        word("nesterov", "look ahead; needs momentum", {"false", "true"}),
        rate("weight_decay", "0", "L2 penalty"), what_decays(), loop()}},
      {"rmsprop",
       "gradients over the root of their running mean square",
       {learning_rate("0.01"), ratio_below_one("alpha", "0.99", "decay of the mean square"),
        rate("eps", "1e-8", "added to the denominator"),
        rate("momentum", "0", "0: none, and no state of it"),
        word("centered", "over the running variance instead", {"false", "true"}),
        rate("weight_decay", "0", "L2 penalty"), what_decays(), loop()}},
      {"adagrad",
       "gradients over the root of the sum of their squares",
       {learning_rate("0.01"), rate("eps", "1e-10", "added to the denominator"),
        rate("initial", "0", "where the sum of squares starts"),
        rate("weight_decay", "0", "L2 penalty"), what_decays(), loop()}},
  };
  return schemas;
}

}  // namespace sbp::experiments
