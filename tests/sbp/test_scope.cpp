#include <doctest/doctest.h>

#include <thread>

#include "sbp/base/scope.h"

namespace {

class Recorder : public sbp::ScopeObserver {
 public:
  Recorder() : before_(sbp::set_scope_observer(this)) {}
  ~Recorder() override { sbp::set_scope_observer(before_); }
  void layer_entered(sbp::LayerId layer) noexcept override { events.push_back(layer); }
  void layer_left(sbp::LayerId layer) noexcept override { events.push_back(-layer); }

  std::vector<sbp::LayerId> events;

 private:
  sbp::ScopeObserver* const before_;
};

}  // namespace

TEST_CASE("scope: a layer table adds parents first, once") {
  sbp::LayerTable table;
  const sbp::LayerId fc1 = table.add("blocks.3.mlp.fc1", "linear");
  REQUIRE(table.layers().size() == 4);
  CHECK(table[0].name == "blocks");
  CHECK(table[1].name == "blocks.3");
  CHECK(table[2].name == "blocks.3.mlp");
  CHECK(table[2].kind == "module");
  CHECK(fc1 == 3);
  CHECK(table[fc1].kind == "linear");
  CHECK(table.add("blocks.3.mlp.fc1", "other") == fc1);
  CHECK(table[fc1].kind == "linear");
  CHECK(table.add("blocks.3.mlp.fc2", "linear") == 4);
  CHECK(table.find("blocks.3") == 1);
  CHECK(table.find("blocks.4") == sbp::kNoLayer);
  CHECK(table.find("") == sbp::kNoLayer);
}

TEST_CASE("scope: layers nest, and leave what was open before") {
  CHECK(sbp::current_layer() == sbp::kNoLayer);
  {
    const sbp::ScopedLayer outer(3);
    CHECK(sbp::current_layer() == 3);
    {
      const sbp::ScopedLayer inner(5);
      CHECK(sbp::current_layer() == 5);
    }
    CHECK(sbp::current_layer() == 3);
  }
  CHECK(sbp::current_layer() == sbp::kNoLayer);
}

TEST_CASE("scope: another thread has scopes of its own") {
  const sbp::ScopedLayer outer(3);
  sbp::LayerId seen = 0;
  std::thread([&seen] {
    seen = sbp::current_layer();
    const sbp::ScopedLayer inner(4);
  }).join();
  CHECK(seen == sbp::kNoLayer);
  CHECK(sbp::current_layer() == 3);
}

TEST_CASE("scope: the observer sees openings and closings in order, until it is taken away") {
  std::vector<sbp::LayerId> events;
  {
    Recorder recorder;
    const sbp::ScopedLayer outer(1);
    { const sbp::ScopedLayer inner(2); }
    { const sbp::ScopedLayer inner(3); }
    events = recorder.events;
  }
  CHECK(events == std::vector<sbp::LayerId>{1, 2, -2, 3, -3});
  const sbp::ScopedLayer unseen(4);
}

TEST_CASE("scope: an observer can stand in for another for a while") {
  Recorder outer;
  { const sbp::ScopedLayer seen(1); }
  {
    Recorder inner;
    const sbp::ScopedLayer seen(2);
    CHECK(inner.events == std::vector<sbp::LayerId>{2});
  }
  { const sbp::ScopedLayer seen(3); }
  CHECK(outer.events == std::vector<sbp::LayerId>{1, -1, 3, -3});
}

TEST_CASE("scope: an exception closes scopes") {
  try {
    const sbp::ScopedLayer layer(9);
    const sbp::ScopedSaveLabel label(sbp::SaveLabel::scale);
    throw 1;
  } catch (int) {
  }
  CHECK(sbp::current_layer() == sbp::kNoLayer);
  CHECK(sbp::current_save_label() == sbp::SaveLabel::value);
}

TEST_CASE("scope: save labels nest") {
  CHECK(sbp::current_save_label() == sbp::SaveLabel::value);
  {
    const sbp::ScopedSaveLabel index(sbp::SaveLabel::index);
    CHECK(sbp::current_save_label() == sbp::SaveLabel::index);
    {
      const sbp::ScopedSaveLabel scale(sbp::SaveLabel::scale);
      CHECK(sbp::current_save_label() == sbp::SaveLabel::scale);
    }
    CHECK(sbp::current_save_label() == sbp::SaveLabel::index);
  }
  CHECK(sbp::current_save_label() == sbp::SaveLabel::value);
}

TEST_CASE("scope: phases have words") {
  CHECK(sbp::to_string(sbp::Phase::setup) == "setup");
  CHECK(sbp::to_string(sbp::Phase::forward) == "forward");
  CHECK(sbp::to_string(sbp::Phase::backward) == "backward");
  CHECK(sbp::to_string(sbp::Phase::optimizer_step) == "optimizer_step");
  CHECK(sbp::to_string(sbp::Phase::evaluation) == "evaluation");
  CHECK(static_cast<int>(sbp::Phase::evaluation) == sbp::kPhaseCount - 1);
}
