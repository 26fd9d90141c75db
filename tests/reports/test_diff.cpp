#include <doctest/doctest.h>

#include "reports/diff.h"
#include "sbp/base/error.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

ProfileReport changed_profile() {
  ProfileReport report = tests::sample_profile();
  report.strategy = {.spec = "full"};
  report.memory.peak.bytes = 4194304;
  report.memory.layers[1].saved.distinct_bytes = 6072;
  report.memory.layers[2].name = "classifier";
  return report;
}

}  // namespace

TEST_CASE("the whole text of a difference") {
  CHECK(diff_text(tests::sample_profile(), changed_profile()) ==
        R"(difference of two profiles
  model   vit:dim=32,depth=1
  before  sbp:keep=0.5
          effective keep ratio 0.5200, forward exact
  after   full
          effective keep ratio 1.0000, forward exact

totals
  total                   before    after    change   ratio
  peak                   3.0 MiB  4.0 MiB  +1.0 MiB  1.333x
  transient at the peak  1.0 MiB  1.0 MiB       0 B  1.000x
  saved distinct         4.0 KiB  4.0 KiB       0 B  1.000x
  saved logical          4.9 KiB  4.9 KiB       0 B  1.000x
  indices and scales        72 B     72 B       0 B  1.000x
  step time              50.0 ms  50.0 ms     +0 us  1.000x
  forward time           20.0 ms  20.0 ms     +0 us  1.000x
  backward time          25.0 ms  25.0 ms     +0 us  1.000x

alive at the peak
  category     before    after  change   ratio
  parameter   1.0 MiB  1.0 MiB     0 B  1.000x
  activation  2.0 MiB  2.0 MiB     0 B  1.000x

peaks of the phases
  phase      before    after  change   ratio
  forward   2.9 MiB  2.9 MiB     0 B  1.000x
  backward  3.0 MiB  3.0 MiB     0 B  1.000x

layers, by the size of the change (saved: distinct bytes; a parent includes its children)
  layer          saved before    after    change  owned at the peak before    after  change
  blocks.0.attn       2.9 KiB  5.9 KiB  +3.0 KiB                   2.0 MiB  2.0 MiB     0 B
  head                  512 B      0 B    -512 B                     100 B      0 B  -100 B  only before
  classifier              0 B    512 B    +512 B                       0 B    100 B  +100 B  only after
  1 layer unchanged
)");
}

TEST_CASE("a report does not differ from itself") {
  const std::string text = diff_text(tests::sample_profile(), tests::sample_profile());
  CHECK(contains(text, "  3 layers unchanged\n"));
  CHECK_FALSE(contains(text, "blocks.0.attn"));
}

TEST_CASE("top limits the layers of a difference") {
  const std::string text = diff_text(tests::sample_profile(), changed_profile(), {.top = 1});
  CHECK(contains(text, "blocks.0.attn"));
  CHECK_FALSE(contains(text, "classifier"));
  CHECK(contains(text, "  and 2 more that changed; --top 0 shows all\n"));
}

TEST_CASE("other settings that differ are said at the top") {
  ProfileReport after = tests::sample_profile();
  after.header.configuration[2].second = std::int64_t{8};
  after.model.spec = "vit:dim=64,depth=1";
  const std::string text = diff_text(tests::sample_profile(), after);
  CHECK(contains(text, "\n  note: batch differs: 4 | 8\n"));
  CHECK(contains(text, "\n  note: model differs: vit:dim=32,depth=1 | vit:dim=64,depth=1\n"));
}

TEST_CASE("different models cannot be compared") {
  ProfileReport after = tests::sample_profile();
  after.model.spec = "mlp:hidden=10";
  CHECK_THROWS_WITH_AS(diff_text(tests::sample_profile(), after),
                       "cannot compare profiles of different models: 'vit' and 'mlp'; give two of "
                       "one model",
                       Error);
}

TEST_CASE("what a parent owns at the peak includes its children") {
  ProfileReport before = tests::sample_profile();
  ProfileReport after = before;
  const auto with = [](std::string name, std::int64_t bytes) {
    profiler::LayerMemory layer;
    layer.name = std::move(name);
    layer.own_peak_bytes = bytes;
    return layer;
  };
  before.memory.layers = {with("net", 0), with("net.a", 1024), with("net.a.b", 2048),
                          with("net.ab", 512)};
  after.memory.layers = {with("net", 0), with("net.a", 0), with("net.a.b", 1024),
                         with("net.ab", 512)};
  const std::string text = diff_text(before, after);
  CHECK(contains(text, "3.5 KiB  1.5 KiB  -2.0 KiB"));  // net
  CHECK(contains(text, "3.0 KiB  1.0 KiB  -2.0 KiB"));  // net.a
  CHECK(contains(text, "2.0 KiB  1.0 KiB  -1.0 KiB"));  // net.a.b
  CHECK(contains(text, "1 layer unchanged"));
}
